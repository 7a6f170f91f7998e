"""The preview of a clip in every style: a contact sheet and a page."""
