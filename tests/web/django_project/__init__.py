"""A gallery that makes thumbnails in the background when a picture is uploaded."""
