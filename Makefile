# Stockade. `make` alone lists what there is.

WASM_TARGET := wasm32-wasip2
AGENTS := everything files hello tables
MANIFEST ?= manifest.yaml

.DEFAULT_GOAL := help
.PHONY: help run test lint bench load soak crash fuzz agents guests check-tools

# What `make load` puts on the host, such as LOAD="streams count=1000"; all there is when empty.
LOAD ?=

# What `make fuzz` runs, one after the other.
FUZZ ?= message document

# Seconds that `make fuzz` and `make soak` run, if somebody says; else 60 and 1800.
TIME ?=
FUZZ_TIME = $(or $(TIME),60)
SOAK_TIME = $(or $(TIME),1800)

# Counts edges and compares: what `cargo fuzz` sets, less the sanitizers that need a nightly compiler.
SANCOV := -Cpasses=sancov-module $(addprefix -Cllvm-args=-sanitizer-coverage-, \
	level=4 inline-8bit-counters pc-table trace-compares)
HOST_TARGET = $(shell rustc -vV | sed -n 's/^host: //p')

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: agents ## build everything and serve manifest.yaml on 127.0.0.1:8080
	cargo build --release --locked -p stockade
	target/release/stockade serve --manifest $(MANIFEST)

test: agents guests ## every test there is, with real guests, clients and sockets
	@# Whoever lacks something hears of it at once, and what comes over the network costs no time.
	cargo build --locked --bins --tests & build=$$!; tests/interop/setup.sh || { kill $$build; exit 1; }; wait $$build
	cargo test --locked
	cargo test --locked --lib -p files -p tables
	RUSTFLAGS="--cfg loom" cargo test --locked --release --target-dir target/loom -p stockade-ledger --test loom

lint: check-tools ## formatting, clippy, documentation; warnings are errors
	cargo fmt --all --check
	cargo clippy --locked --workspace --exclude guests --all-targets -- -D warnings
	cargo clippy --locked --release --target $(WASM_TARGET) $(AGENTS:%=-p %) -p guests -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items -p stockade -p stockade-gate -p stockade-ledger

bench: agents ## what a call and an edit cost, beside a bare hyper, a native rmcp server, yrs alone
	cargo build --release --locked -p stockade
	cargo bench --locked -p stockade -p stockade-tests --bench call --bench apply --bench echo

load: agents ## what sessions, streams and large reads cost the host's memory (LOAD="streams count=1000" for one)
	cargo build --release --locked -p stockade -p stockade-tests --bin stockade --bin load
	target/release/load $(LOAD)

soak: agents guests ## everything at once for TIME=1800 seconds; a verdict, and memory over time in target/soak.svg
	cargo build --release --locked -p stockade -p stockade-tests --bin stockade --bin soak
	target/release/soak seconds=$(SOAK_TIME) plot=target/soak.svg

crash: agents ## hosts that are killed a hundred times while somebody edits the registry, or publishes
	cargo build --release --locked -p stockade -p stockade-tests --bin stockade --bin load
	target/release/load crash rounds=100
	target/release/load publish-crash rounds=100

fuzz: check-tools ## foreign bytes against the message parser and the document's gate, guided by coverage, for TIME=60 seconds each
	@command -v c++ >/dev/null || { echo "a C++ compiler is missing, which libFuzzer is built with: apt-get install g++"; exit 1; }
	RUSTFLAGS="$(SANCOV)" cargo build --locked -p stockade-fuzz --features libfuzzer --profile fuzz \
		--target $(HOST_TARGET) --target-dir target/fuzz
	@set -e; for target in $(FUZZ); do \
		mkdir -p target/fuzz/corpus/$$target; \
		target/fuzz/$(HOST_TARGET)/fuzz/$$target -max_total_time=$(FUZZ_TIME) -max_len=8192 -timeout=5 -print_final_stats=1 \
			$$(test -f tests/fuzz/$$target.dict && echo -dict=tests/fuzz/$$target.dict) -artifact_prefix=target/fuzz/ \
			target/fuzz/corpus/$$target $$(test -d tests/fuzz/corpus/$$target && echo tests/fuzz/corpus/$$target); \
	done

agents: check-tools ## build the agents we ship, as components
	cargo build --release --locked --target $(WASM_TARGET) $(AGENTS:%=-p %)

guests: check-tools # the hostile ones, for the tests
	cargo build --release --locked --target $(WASM_TARGET) -p guests

check-tools:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust from https://rustup.rs"; exit 1; }
	@command -v cc >/dev/null || { echo "a C compiler is missing: apt-get install gcc (or your system's build tools)"; exit 1; }
	@test -d "$$(rustc --print sysroot)/lib/rustlib/$(WASM_TARGET)" || rustup target add $(WASM_TARGET) || \
		{ echo "the Rust target $(WASM_TARGET) is missing: rustup target add $(WASM_TARGET)"; exit 1; }
