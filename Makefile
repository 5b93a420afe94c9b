# make test is all that a change needs; the others look closer. Everything but Go and git is fetched by go itself.
GOTESTSUM = go run gotest.tools/gotestsum@v1.13.0
GOLANGCI  = go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: test short build demo bench reliability race fuzz mutants oracle check-report lint cover

test: ## everything: static checks, unit, property, virtual-time and kill tests; what is skipped is named at the end
	@test -z "$$(gofmt -l cmd consumers deployments fhir internal rules)" || { gofmt -l cmd consumers deployments fhir internal rules; echo "run gofmt -w on these"; exit 1; }
	go vet ./...
	$(GOTESTSUM) --format pkgname -- -timeout 15m ./...

short: ## without the tests that start processes and kill them
	go test -short ./...

build: ## a static binary in dist/
	CGO_ENABLED=0 go build -trimpath -o dist/trialwatch ./cmd/trialwatch

demo:
	go run ./cmd/trialwatch demo

bench: ## each with something to compare in the same run; at the end serve as a process: events a CPU second, memory, latency
	go test -run '^$$' -bench . -benchmem ./rules/... ./fhir ./fhir/r4json ./internal/grade ./internal/offline
	go test -run '^$$' -bench 'Live|Latency' -benchtime 1x ./internal/app

reliability: ## the promises, each with its figure and its negative control
	go test -count=1 -v -run 'Kill|Queue|Restart|Missed|Shuffle|Permutation|External' ./rules ./consumers ./internal/app

race:
	go test -race -short ./fhir/... ./rules/... ./consumers/... ./internal/web ./internal/offline

fuzz: ## a minute for every byte boundary
	go test -run '^$$' -fuzz FuzzDecode -fuzztime 60s ./fhir
	go test -run '^$$' -fuzz FuzzDifferential -fuzztime 60s ./fhir/r4json
	go test -run '^$$' -fuzz FuzzParse$$ -fuzztime 60s ./rules/protocol
	go test -run '^$$' -fuzz FuzzParse -fuzztime 60s ./fhir/sitefile
	go test -run '^$$' -fuzz FuzzParseRounded -fuzztime 60s ./rules/decimal
	go test -run '^$$' -fuzz FuzzGrade -fuzztime 60s ./rules/ctcae
	go test -run '^$$' -fuzz FuzzRun -fuzztime 60s ./internal/grade
	go test -run '^$$' -fuzz FuzzRead -fuzztime 60s ./internal/feed
	go test -run '^$$' -fuzz FuzzToken -fuzztime 60s ./consumers/wire

MUTANTS = 1000000
mutants: ## a million nearly valid resources: what r4json decodes, google/fhir decodes alike
	TRIALWATCH_MUTANTS=$(MUTANTS) go test -count=1 -v -timeout 60m -run 'MutantsAgree|CorporaAgree|Canary' ./fhir/r4json

oracle: ## asks R again what the statistics are, and compares
	@Rscript -e 'library(survival); library(coin)' >/dev/null 2>&1 || { echo "R is missing: apt-get install --no-install-recommends r-base-core r-cran-survival r-cran-coin"; exit 1; }
	@mkdir -p dist
	Rscript rules/stat/testdata/oracle.R > dist/oracle.ndjson && mv dist/oracle.ndjson rules/stat/testdata/oracle.ndjson
	go test -count=1 -v -run AgreesWithR ./rules/stat

mutation: ## changes every threshold, window and comparator of both shipped protocols, one at a time: a scenario must notice each
	go run ./cmd/trialwatch protocol mutate deployments/protocols/osi-daily
	go run ./cmd/trialwatch protocol mutate deployments/protocols/til-il2

REPORT = dist/report
check-report: ## R computes the statistics of a report anew: of the published cohort, or of REPORT=DIR made with --session closed --csv DIR --times
	@command -v Rscript >/dev/null || { echo "R is not here: apt-get install --no-install-recommends r-base-core r-cran-survival"; exit 1; }
	@test "$(REPORT)" != dist/report || TRIALWATCH_REPORT=$(CURDIR)/dist/report go test -count=1 -run TestCSV ./internal/report
	Rscript internal/report/check.R $(REPORT)

lint:
	$(GOLANGCI) run

cover:
	go test -short -coverprofile=dist/cover.out ./... && go tool cover -func=dist/cover.out | tail -1
