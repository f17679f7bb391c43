"""What the gallery keeps."""

from django.db import models


class Picture(models.Model):
    owner = models.CharField(max_length=100)
    file = models.FileField(upload_to="pictures")
    thumbnail = models.FileField(upload_to="thumbnails", blank=True)
