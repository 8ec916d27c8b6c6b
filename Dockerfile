# One image for `train` and `serve`, SageMaker's two words.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS environment
# sagemaker-training comes as source and is compiled here, so that no compiler is in the image.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY requirements/image.txt /tmp/image.txt
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --no-deps --requirement /tmp/image.txt
# Keras on JAX, which only the optional training tasks need; what both locks name they pin alike.
ARG RECURRENT=false
COPY requirements/recurrent.txt /tmp/recurrent.txt
RUN if [ "${RECURRENT}" = true ]; then \
        /opt/venv/bin/pip install --no-cache-dir --no-deps --requirement /tmp/recurrent.txt; \
    fi

FROM ${BASE_IMAGE}
# What SageMaker looks for before it serves several models from one container.
LABEL com.amazonaws.sagemaker.capabilities.multi-models=true \
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --user-group --no-create-home listening
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin
ENV PYTHONPATH=/opt/listening
ENV PYTHONUNBUFFERED=1
ENV PYTHONDONTWRITEBYTECODE=1
ENV SAGEMAKER_PROGRAM=entry.py
COPY --from=environment /opt/venv /opt/venv
COPY infra/image/serve /usr/local/bin/serve
COPY listening /opt/listening/listening
COPY inference /opt/listening/inference
COPY sagemaker /opt/ml/code
WORKDIR /opt/ml
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=2s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('SAGEMAKER_BIND_TO_PORT', '8080') + '/ping')"]
