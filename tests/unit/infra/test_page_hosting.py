"""The hosted page: there where its users can sign in, and nowhere else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from infra.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

JWT = {
    "issuer": "https://cognito-idp.eu-west-1.amazonaws.com/pool",
    "audience": ["the-page"],
    "page_client": "the-page",
    "page_sign_in": ["https://team.auth.eu-west-1.amazoncognito.com"],
}


def settings(jwt: dict[str, Any]) -> Settings:
    return Settings.model_validate(
        {"environment": "pages", "region": "eu-west-1", "wheels": False, "api": {"jwt": jwt}}
    )


@pytest.fixture(scope="module")
def hosted(synthesise: Callable[..., Any]) -> Any:
    """Synthesise an environment with the page."""
    return synthesise(settings(JWT))


def distribution(environment: Any) -> dict[str, Any]:
    config: dict[str, Any] = environment.one("AWS::CloudFront::Distribution")["DistributionConfig"]
    return config


def test_files_and_api_are_one_origin_under_tls(hosted: Any) -> None:
    config = distribution(hosted)
    default, others = config["DefaultCacheBehavior"], config["CacheBehaviors"]
    assert default["ViewerProtocolPolicy"] == "redirect-to-https"
    assert {b["PathPattern"] for b in others} == {"/countries", "/champion", "/artist_index/*"}
    assert {b["ViewerProtocolPolicy"] for b in others} == {"https-only"}
    api = next(o for o in config["Origins"] if "CustomOriginConfig" in o)
    assert api["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
    assert ".execute-api.eu-west-1.amazonaws.com" in hosted.text(api["DomainName"], "api")
    assert config["DefaultRootObject"] == "index.html"
    assert "requests/" in config["Logging"]["Prefix"]


def test_the_bucket_is_read_by_the_distribution_alone(hosted: Any) -> None:
    files = next(o for o in distribution(hosted)["Origins"] if "S3OriginConfig" in o)
    assert "OriginAccessControlId" in files
    buckets = {k: v for k, v in hosted.resources("AWS::S3::Bucket").items() if k.startswith("api/")}
    assert len(buckets) == 2
    assert all(all(b["PublicAccessBlockConfiguration"].values()) for b in buckets.values())
    policies = [
        json.dumps(policy)
        for name, policy in hosted.resources("AWS::S3::BucketPolicy").items()
        if name.startswith("api/")
    ]
    (read,) = [policy for policy in policies if "cloudfront.amazonaws.com" in policy]
    assert "AWS:SourceArn" in read


def test_nothing_inline_runs_and_only_issuer_and_api_are_asked(hosted: Any) -> None:
    headers = hosted.one("AWS::CloudFront::ResponseHeadersPolicy")["ResponseHeadersPolicyConfig"]
    security = headers["SecurityHeadersConfig"]
    policy = security["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert (
        "connect-src 'self' https://cognito-idp.eu-west-1.amazonaws.com "
        "https://team.auth.eu-west-1.amazoncognito.com;"
    ) in policy
    assert security["FrameOptions"]["FrameOption"] == "DENY"
    assert security["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 31_536_000
    assert "ContentTypeOptions" in security


def test_the_page_is_placed_with_what_signs_in(hosted: Any) -> None:
    placed = hosted.resources("Custom::PlacedObjects")
    (objects,) = [p["Objects"] for name, p in placed.items() if name.startswith("api/")]
    assert {"index.html", "page.css", "page.js", "world.json", "config.json"} <= set(objects)
    assets = json.loads(
        next(p for p in hosted.folder.glob("*-api.assets.json")).read_text("utf-8")
    )["files"]
    (config,) = [
        (hosted.folder / asset["source"]["path"]).read_text("utf-8")
        for asset in assets.values()
        if asset["displayName"].endswith("config.json")
    ]
    assert json.loads(config) == {
        "sign_in": {"issuer": JWT["issuer"], "client_id": "the-page"},
    }


def test_the_api_reads_artists_and_nothing_else_of_a_report(hosted: Any) -> None:
    routes = {r["RouteKey"]: r for r in hosted.resources("AWS::ApiGatewayV2::Route").values()}
    assert routes["GET /artist_index/{version}/{file}"]["AuthorizationType"] == "JWT"
    policies = json.dumps(list(hosted.resources("AWS::IAM::Policy").values()))
    assert "reports/*/artist_index/*" in policies
    functions = hosted.resources("AWS::Lambda::Function").values()
    (api,) = [f for f in functions if f.get("FunctionName") == "listening-pages-api"]
    bucket = hosted.text(api["Environment"]["Variables"]["MODELS_BUCKET"], "api")
    assert bucket.startswith("listening-pages-models-")


def test_without_a_client_no_page_is_hosted(synthesise: Callable[..., Any], dev: Any) -> None:
    without = {name: JWT[name] for name in ("issuer", "audience")}
    for environment in (dev, synthesise(settings(without))):
        assert not environment.resources("AWS::CloudFront::Distribution")
        routes = environment.resources("AWS::ApiGatewayV2::Route").values()
        assert not any("artist_index" in route["RouteKey"] for route in routes)
