package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts run the command as a process: what it prints and how it exits is the contract.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"trialwatch": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("TRIALWATCH_DATA", env.WorkDir+"/data")
			shipped, err := filepath.Abs("../../deployments/protocols/til-il2/protocol.yaml")
			if err != nil {
				return err
			}
			stories, err := filepath.Abs("testdata/scenarios")
			env.Setenv("SHIPPED", shipped)
			env.Setenv("STORIES", stories)
			return err
		},
		Condition: func(cond string) (bool, error) { return cond == "long" && !testing.Short(), nil },
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			// longline FILE MB: a valid resource in one line of so many megabytes.
			"longline": func(ts *testscript.TestScript, _ bool, args []string) {
				mb, err := strconv.Atoi(args[1])
				ts.Check(err)
				f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
				ts.Check(err)
				_, err = f.WriteString(`{"resourceType":"Observation","id":"long","note":[{"text":"CANARY`)
				ts.Check(err)
				block := bytes.Repeat([]byte("x"), 1<<20)
				for range mb {
					_, err = f.Write(block)
					ts.Check(err)
				}
				_, err = f.WriteString("\"}]}\n")
				ts.Check(err)
				ts.Check(f.Close())
			},
			// waitready DIR: until the system that runs in a data directory can be reached.
			"waitready": func(ts *testscript.TestScript, _ bool, args []string) {
				poll(ts, "a system in "+args[0], func() bool {
					_, err := os.Stat(filepath.Join(ts.MkAbs(args[0]), "nats.json"))
					return err == nil && ts.Exec("trialwatch", "deadletters", "list", "--data", args[0]) == nil
				})
			},
			// waitlines ARG...: until trialwatch ARG... succeeds and prints JSON or a table.
			"waitlines": func(ts *testscript.TestScript, _ bool, args []string) {
				poll(ts, strings.Join(args, " "), func() bool {
					if ts.Exec("trialwatch", args...) != nil {
						return false
					}
					out := ts.ReadFile("stdout")
					return strings.TrimSpace(out) != "" && !strings.Contains(out, "nothing is open")
				})
			},
			// same FILE FILE: two files hold the same lines in any order.
			"same": func(ts *testscript.TestScript, neg bool, args []string) {
				a, b := strings.Split(ts.ReadFile(args[0]), "\n"), strings.Split(ts.ReadFile(args[1]), "\n")
				if equal := strings.Join(a, "\n") == strings.Join(b, "\n"); equal == neg {
					ts.Fatalf("%s and %s: same %v", args[0], args[1], equal)
				}
			},
		},
	})
}

// poll waits for a condition, for as long as a slow machine may need.
func poll(ts *testscript.TestScript, what string, ok func() bool) {
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			ts.Fatalf("never: %s", what)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
