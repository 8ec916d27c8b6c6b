"""The page to ask in, hosted: its files and the API behind one address."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aws_cdk as cdk
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.placed_objects import PlacedObjects
from ops import page_content

if TYPE_CHECKING:
    from aws_cdk import aws_kms as kms

    from infra.base_stack import BaseStack
    from infra.settings import JwtSettings

WEB = Path(__file__).parents[2] / "web"
API_PATHS = ("/countries", "/champion", "/artist_index/*")
"""What the page asks of the API, at its own address: no other origin is ever asked."""


class PageHosting(Construct):
    """Bucket with the page's files, log bucket, and the distribution in front of files and API.

    Parameters
    ----------
    api_domain
        Host name of the API.
    jwt
        Whom the API trusts, and by which client id it knows the page.
    key
        Encrypts the logs of the function that places the files.
    """

    def __init__(
        self,
        scope: BaseStack,
        construct_id: str,
        *,
        api_domain: str,
        jwt: JwtSettings,
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, construct_id)
        self._stack = scope
        self._jwt = jwt
        self.logs = self._build_logs()
        self.bucket = self._build_bucket()
        self.files = self._build_files(key)
        self.headers = self._build_headers()
        self.distribution = self._build_distribution(api_domain)

    @property
    def url(self) -> str:
        """The page's address, which the issuer must know as a redirect URI."""
        return f"https://{self.distribution.distribution_domain_name}/"

    def _build_logs(self) -> s3.Bucket:
        """Build the bucket of access logs; CloudFront delivers by ACL, which no other may use."""
        return self._closed_bucket(
            "Logs",
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_PREFERRED,
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=cdk.Duration.days(self._stack.settings.log_retention_days)
                )
            ],
        )

    def _build_bucket(self) -> s3.Bucket:
        """Build the bucket of files that anyone may see, so that S3's own key does."""
        return self._closed_bucket(
            "Files",
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            server_access_logs_bucket=self.logs,
            server_access_logs_prefix="files/",
            lifecycle_rules=[
                s3.LifecycleRule(
                    noncurrent_version_expiration=cdk.Duration.days(
                        self._stack.settings.old_version_days
                    )
                )
            ],
        )

    def _closed_bucket(self, construct_id: str, **options: Any) -> s3.Bucket:
        """Build a versioned bucket of the environment's lifetime that is reached by TLS alone."""
        return s3.Bucket(
            self,
            construct_id,
            encryption=s3.BucketEncryption.S3_MANAGED,
            versioned=True,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            removal_policy=self._stack.removal_policy,
            auto_delete_objects=self._stack.removal_policy == cdk.RemovalPolicy.DESTROY,
            **options,
        )

    def _build_files(self, key: kms.IKey) -> PlacedObjects:
        sign_in = {"issuer": self._jwt.issuer, "client_id": str(self._jwt.page_client)}
        if self._jwt.page_client not in self._jwt.audience:
            sign_in["audience"] = self._jwt.audience[0]
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / page_content.CONFIG
            config.write_bytes(page_content.config(sign_in))
            return PlacedObjects(
                self._stack,
                "Page",
                bucket=self.bucket,
                key=key,
                files=page_content.page_files(WEB) | {config.name: config},
            )

    def _build_headers(self) -> cloudfront.ResponseHeadersPolicy:
        issuer = urlsplit(self._jwt.issuer)
        allowed = [f"https://{issuer.netloc}", *self._jwt.page_sign_in]
        policy = page_content.content_security_policy(allowed)
        return cloudfront.ResponseHeadersPolicy(
            self,
            "Headers",
            security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
                content_security_policy=cloudfront.ResponseHeadersContentSecurityPolicy(
                    content_security_policy=policy, override=True
                ),
                content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
                frame_options=cloudfront.ResponseHeadersFrameOptions(
                    frame_option=cloudfront.HeadersFrameOption.DENY, override=True
                ),
                referrer_policy=cloudfront.ResponseHeadersReferrerPolicy(
                    referrer_policy=cloudfront.HeadersReferrerPolicy.NO_REFERRER, override=True
                ),
                strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                    access_control_max_age=cdk.Duration.days(365),
                    include_subdomains=True,
                    override=True,
                ),
            ),
        )

    def _build_distribution(self, api_domain: str) -> cloudfront.Distribution:
        api = cloudfront.BehaviorOptions(
            origin=origins.HttpOrigin(
                api_domain,
                protocol_policy=cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
                origin_ssl_protocols=[cloudfront.OriginSslPolicy.TLS_V1_2],
            ),
            allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
            cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
            origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
            response_headers_policy=self.headers,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
        )
        distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment=f"{self._stack.names.prefix}: the page to ask in",
            default_root_object=page_content.INDEX,
            default_behavior=cloudfront.BehaviorOptions(
                origin=origins.S3BucketOrigin.with_origin_access_control(self.bucket),
                cache_policy=self._build_cache_policy(),
                response_headers_policy=self.headers,
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
            ),
            additional_behaviors=dict.fromkeys(API_PATHS, api),
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
            price_class=cloudfront.PriceClass.PRICE_CLASS_100,
            log_bucket=self.logs,
            log_file_prefix="requests/",
        )
        cdk.Validations.of(distribution).acknowledge(
            cdk.Acknowledgment(
                id="AwsSolutions::AwsSolutions-CFR4",
                reason="CloudFront's own certificate does not let its oldest TLS version be chosen",
            )
        )
        return distribution

    def _build_cache_policy(self) -> cloudfront.CachePolicy:
        """Build a policy under which a new page is seen within minutes of its deployment."""
        return cloudfront.CachePolicy(
            self,
            "Caching",
            default_ttl=cdk.Duration.minutes(5),
            max_ttl=cdk.Duration.minutes(5),
            min_ttl=cdk.Duration.seconds(0),
            enable_accept_encoding_brotli=True,
            enable_accept_encoding_gzip=True,
        )
