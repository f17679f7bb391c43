from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            "Picture",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("owner", models.CharField(max_length=100)),
                ("file", models.FileField(upload_to="pictures")),
                ("thumbnail", models.FileField(blank=True, upload_to="thumbnails")),
            ],
        ),
    )
