"""An OpenID provider on loopback: Django, its own login form, and Django OAuth
Toolkit with its own consent form. Everything is in one sqlite file."""

import os

import django
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings

PORT = int(os.environ["PORT"])
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "oauth2_provider"]
LOGIN_PAGE = '<form method="post">{% csrf_token %}{{ form }}<button type="submit">Log in</button></form>'

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=APPS,
    LOGIN_URL="/login",
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    MIGRATION_MODULES=dict.fromkeys(app.rsplit(".")[-1] for app in APPS),  # none: tables as they are now
    OAUTH2_PROVIDER={
        "ACCESS_TOKEN_EXPIRE_SECONDS": 8,
        "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
        "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
        "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
        "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
        "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
        "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
        "OAUTH2_VALIDATOR_CLASS": "__main__.Validator",
        "OIDC_ENABLED": True,
        "OIDC_ISS_ENDPOINT": os.environ["ISSUER"],
        "OIDC_RP_INITIATED_LOGOUT_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": KEY.decode(),
        "PKCE_REQUIRED": True,
        "REFRESH_TOKEN_REUSE_PROTECTION": True,
        "ROTATE_REFRESH_TOKEN": True,
        "SCOPES": {"openid": "Who you are", "profile": "Your name", "email": "Your e-mail address"},
    },
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # nothing to guard, and quick
    ROOT_URLCONF="__main__",
    SECRET_KEY=os.urandom(32).hex(),
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    ("django.template.loaders.locmem.Loader", {"registration/login.html": LOGIN_PAGE}),
                    "django.template.loaders.app_directories.Loader",
                ]
            },
        }
    ],
    USE_TZ=True,
)
django.setup()

# These imports need the settings above.
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.auth.views import LoginView  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.servers import basehttp  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import include, path  # noqa: E402
from oauth2_provider.models import AccessToken, Application, RefreshToken  # noqa: E402
from oauth2_provider.oauth2_validators import OAuth2Validator  # noqa: E402

METADATA = "/o/.well-known/openid-configuration"
token_requests = 0


def end_grants(request):
    RefreshToken.objects.all().delete()
    AccessToken.objects.all().delete()
    return HttpResponse()


urlpatterns = [
    path("login", LoginView.as_view()),
    path("o/", include("oauth2_provider.urls")),
    path("end-grants", end_grants),
    path("token-requests", lambda request: HttpResponse(str(token_requests))),
]


class Validator(OAuth2Validator):
    def get_additional_claims(self):
        return {
            "name": lambda request: request.user.get_full_name(),
            "email": lambda request: request.user.email,
            "email_verified": lambda request: True,
        }


def counting(handle):
    def counted(environ, start_response):
        global token_requests
        if environ["PATH_INFO"] == "/o/token/":
            token_requests += 1
        if environ["PATH_INFO"] == METADATA:  # as older versions of the toolkit answer
            start_response("301 Moved Permanently", [("Location", METADATA + "/"), ("Content-Length", "0")])
            return []
        return handle(environ, start_response)

    return counted


call_command("migrate", run_syncdb=True, verbosity=0)
User.objects.create_user("ada", "ada@example.test", "correct horse", first_name="Name of", last_name="ada")
Application.objects.create(
    name="pixy",
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    client_type=Application.CLIENT_CONFIDENTIAL,
    authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
    redirect_uris=os.environ["CALLBACK"],
    post_logout_redirect_uris=os.environ["HOME_URL"],
    algorithm=Application.RS256_ALGORITHM,
)
basehttp.run("127.0.0.1", PORT, counting(get_wsgi_application()), threading=True)
