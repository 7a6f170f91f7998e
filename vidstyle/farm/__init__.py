"""Segments made elsewhere: by several processes, a farm or a cluster. Schedules nothing itself."""
