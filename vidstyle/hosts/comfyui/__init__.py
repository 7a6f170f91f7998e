"""A folder for `custom_nodes` of ComfyUI: link or copy it there. It needs vidstyle in ComfyUI's Python."""

from vidstyle.hosts.comfyui.node import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]
