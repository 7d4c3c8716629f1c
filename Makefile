# Makefile of CryptoVault. `make` alone lists what it can do.
.DEFAULT_GOAL := help
SHELL := /bin/bash

.PHONY: protos
protos: ## Regenerate the code of protos/ and check it with buf
	protos/generate.sh
	cd protos && ../.venv/bin/buf lint
