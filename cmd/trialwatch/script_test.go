package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

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
