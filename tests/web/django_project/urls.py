"""Where the gallery is."""

from django.urls import path

from tests.web.django_project.gallery import views

urlpatterns = [
    path("pictures/", views.upload),
    path("pictures/<int:number>", views.show),
    path("pictures/<int:number>/thumbnail", views.thumbnail),
]
