# Everything here works as root or not. What a command needs beyond Go is
# looked for first, and named with its cure where it is missing.

FUZZTIME ?= 10s
KILLS    ?= 300
BENCH    ?=
PROOF    ?=
export GOFLAGS ?= -buildvcs=false

.DEFAULT_GOAL := help
.PHONY: help build run test test-go test-quick test-sdks lint fuzz soak bench proof-limits try-local-model

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r t what; do printf '  make %-16s %s\n' "$$t" "$$what"; done

build: ## build ./weir
	CGO_ENABLED=0 go build ./cmd/weir

run: build ## build, and start Weir with examples/quickstart.yaml
	./weir serve --config examples/quickstart.yaml

test: test-go test-sdks ## all tests: Go with the race detector, then the SDKs

test-go: ## the Go tests with the race detector, on a real Redis (needs a C compiler)
	@tools/need cc
	@tools/test-redis
	CGO_ENABLED=1 go test -race -timeout 20m ./...

test-quick: ## the Go tests that need nothing but Go
	CGO_ENABLED=0 go test -short ./...

test-sdks: ## real SDKs of Python, Node and Go through a running Weir
	@tools/need python3 venv node npm
	cd tests/sdk/go && go test .
	tests/sdk/run

lint: ## gofumpt, go vet, staticcheck, deadcode
	tools/lint

fuzz: ## every fuzz target for FUZZTIME (10s) each
	tools/fuzz $(FUZZTIME)

soak: ## the kill -9 tests, KILLS (300) times
	WEIR_KILLS=$(KILLS) go test -count=1 -timeout 1h -v -run Killed ./cmd/weir ./ledger

bench: ## the benchmarks of bench/README.md; BENCH="-quick" for a short run
	go run ./bench $(BENCH)

proof-limits: ## budgets on three killed processes and Redis, 20 runs, half an hour: bench/limits.md; PROOF="-runs 2" for fewer
	@tools/need redis-server
	go run ./tests/overshoot -runs 20 -parallel 4 $(PROOF)

try-local-model: build ## a real model behind Weir, by hand: docs/local-model.md
	@tools/need python3 venv cc cmake curl
	examples/local-model/run
