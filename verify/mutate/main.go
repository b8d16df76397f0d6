// Mutate breaks the Go half of the protocol on purpose, one mutation at a time, and
// runs the tests of its package on what came of it: each must be caught by one,
// or have a reason why no test on this machine can.
//
//	go run ./verify/mutate              all of them
//	go run ./verify/mutate -quick       those that the gate runs
//	go run ./verify/mutate NAME...      these
//	go run ./verify/mutate -table       all of them, as the table of verify/README.md
//
// It exits with 1 if one survived without a reason. The tree is not touched: the go
// command gets the mutated file through -overlay.
//
// This file holds what runs them; apply.go what changes the code; mutations.go and
// ring.go have the list.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// mutation replaces some code of a function.
type mutation struct {
	name  string
	why   string // what is broken
	pkg   string // the package: notifier, if it is "", or ring
	in    string // the function: F, or T.M for a method
	old   string // code that must be in it once, whatever its layout and comments
	new   string
	first string // the tests likely to notice, tried before all others
	long  string // tests that need longer than -short, tried one by one if nothing else noticed
	c     bool   // first has C threads in it; without them all is built sooner
	quick bool   // the gate runs it

	// reason is why none of the tests can catch it on amd64. It may be caught all
	// the same.
	reason string
}

// elsewhere are the files, by package, of tests that look at C or at the text of the
// sources: a mutation of the Go half is nothing to them.
var elsewhere = map[string][]string{
	"notifier": {"cprogram", "cbarrier", "clayout", "header", "header_layout", "capi"},
	"ring":     {"c", "outc", "abi", "outabi", "api"},
}

// dir is where the mutation's package is.
func (m mutation) dir(root string) string {
	if m.pkg == "" {
		return filepath.Join(root, "notifier")
	}
	return filepath.Join(root, m.pkg)
}

func main() {
	quick := flag.Bool("quick", false, "only those that the gate runs, and only the tests likely to notice")
	table := flag.Bool("table", false, "print a Markdown table at the end")
	jobs := flag.Int("jobs", 1, "how many at once; each keeps a processor or two busy")
	flag.Parse()
	root, err := output("go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		fatal(err)
	}
	work, err := os.MkdirTemp("", "mutate")
	if err != nil {
		fatal(err)
	}
	code := run(strings.TrimSpace(root), work, *quick, *table, *jobs, flag.Args())
	_ = os.RemoveAll(work)
	os.Exit(code)
}

func run(root, work string, quick, table bool, jobs int, names []string) int {
	var chosen []mutation
	for _, m := range mutations {
		wanted := len(names) == 0 && (!quick || m.quick)
		for _, name := range names {
			wanted = wanted || name == m.name
		}
		if wanted {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 || len(names) > len(chosen) {
		fmt.Fprintln(os.Stderr, "no such mutation")
		return 2
	}

	// The tests must pass as long as nothing is broken.
	begin := time.Now()
	for _, pkg := range []string{"", "ring"} {
		control := mutation{pkg: pkg}
		var firsts, longs []string
		for _, m := range chosen {
			if m.pkg == pkg {
				firsts, longs = append(firsts, m.first), append(longs, m.long)
				control.c = control.c || m.c
			}
		}
		if firsts == nil {
			continue
		}
		control.first, control.long = alternatives(firsts), alternatives(longs)
		control.why = filepath.Base(control.dir(root)) + " as it is"
		begin := time.Now()
		if v := try(root, work, control, quick); v.err != nil || v.test != "" {
			fmt.Printf("%s: %s\n%s", control.why, v, v.log)
			return 1
		}
		fmt.Printf("%-28s passes (%.0f s)\n", control.why, time.Since(begin).Seconds())
	}

	verdicts := make([]verdict, len(chosen))
	turn := make(chan struct{}, jobs)
	var all sync.WaitGroup
	for i, m := range chosen {
		all.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			begin := time.Now()
			verdicts[i] = try(root, work, m, quick)
			fmt.Printf("%-28s %s (%.0f s)\n", m.name, verdicts[i], time.Since(begin).Seconds())
		})
	}
	all.Wait()

	caught, excused, bad := 0, 0, 0
	for i, m := range chosen {
		switch v := verdicts[i]; {
		case v.err != nil:
			bad++
		case v.test != "":
			caught++
		case m.reason != "":
			excused++
			fmt.Printf("%s survives: %s\n", m.name, m.reason)
		default:
			bad++
			fmt.Printf("%s SURVIVES: %s\n", m.name, m.why)
		}
	}
	if table {
		fmt.Println("| mutation | what it breaks | caught by |\n|---|---|---|")
		for i, m := range chosen {
			by := "`" + verdicts[i].test + "`"
			if verdicts[i].test == "" {
				by = "survives: " + m.reason
			}
			fmt.Printf("| `%s` | %s | %s |\n", m.name, m.why, by)
		}
	}
	fmt.Printf("mutations: %d of %d caught, %d survive with a reason, %d without (%.0f s)\n", caught, len(chosen), excused, bad, time.Since(begin).Seconds())
	if bad > 0 {
		return 1
	}
	return 0
}

// alternatives joins patterns.
func alternatives(patterns []string) string {
	seen := map[string]bool{"": true}
	var list []string
	for _, p := range patterns {
		for _, name := range strings.Split(p, "|") {
			if !seen[name] {
				seen[name] = true
				list = append(list, name)
			}
		}
	}
	return strings.Join(list, "|")
}

// verdict is the test that noticed, if one did.
type verdict struct {
	test string
	err  error // it could not be tried
	log  string
}

func (v verdict) String() string {
	switch {
	case v.err != nil:
		return "CANNOT BE TRIED: " + v.err.Error()
	case v.test == "":
		return "survives"
	}
	return "caught by " + v.test
}

func try(root, work string, m mutation, quick bool) verdict {
	dir, err := filepath.Abs(m.dir(root))
	if err != nil {
		return verdict{err: err}
	}
	here, err := os.MkdirTemp(work, "")
	if err != nil {
		return verdict{err: err}
	}
	overlay := ""
	if m.in != "" {
		overlay = filepath.Join(here, "overlay.json")
		if err := mutate(dir, here, overlay, m); err != nil {
			return verdict{err: err}
		}
	}
	skip, err := elsewhereTests(dir)
	if err != nil {
		return verdict{err: err}
	}
	type round struct {
		cgo       string
		arguments []string
	}
	var rounds []round
	if m.first != "" {
		cgo := "0"
		if m.c {
			cgo = "1"
		}
		rounds = append(rounds, round{cgo, []string{"-test.short", "-test.run=^(" + m.first + ")$"}})
	}
	if !quick {
		rounds = append(rounds, round{"1", []string{"-test.short", "-test.skip=^(" + skip + ")$"}})
	}
	for _, name := range strings.Split(m.long, "|") {
		if name != "" {
			rounds = append(rounds, round{"1", []string{"-test.run=^" + name + "$"}})
		}
	}
	built := map[string]string{}
	for _, r := range rounds {
		if built[r.cgo] == "" {
			built[r.cgo] = filepath.Join(here, "test-"+r.cgo)
			cmd := exec.Command("go", "test", "-c", "-vet=off", "-overlay="+overlay, "-o", built[r.cgo], ".")
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "CGO_ENABLED="+r.cgo)
			if out, err := cmd.CombinedOutput(); err != nil {
				return verdict{err: fmt.Errorf("it does not compile: %w\n%s", err, out)}
			}
		}
		if v := test(dir, built[r.cgo], overlay, r.arguments); v.test != "" || v.err != nil {
			return v
		}
	}
	return verdict{}
}

// mutate writes the mutated file, and the overlay that puts it in its place.
func mutate(dir, here, overlay string, m mutation) error {
	path, changed, err := m.apply(dir)
	if err != nil {
		return err
	}
	mutated := filepath.Join(here, filepath.Base(path))
	if err := os.WriteFile(mutated, changed, 0o666); err != nil {
		return err
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {path: mutated}})
	if err != nil {
		return err
	}
	return os.WriteFile(overlay, list, 0o666)
}

var testFunction = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

func elsewhereTests(dir string) (string, error) {
	var names []string
	for _, file := range elsewhere[filepath.Base(dir)] {
		text, err := os.ReadFile(filepath.Join(dir, file+"_test.go"))
		if err != nil {
			return "", err
		}
		for _, m := range testFunction.FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
	}
	return strings.Join(names, "|"), nil
}

// patience makes a test that waits in vain give up sooner than it usually would: half
// of the mutations end in that. Where nothing is broken nobody waits in vain.
const patience = "0.4"

func test(dir, binary, overlay string, arguments []string) verdict {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append(arguments, "-test.v", "-test.failfast", "-test.timeout=4m")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "WAKECHAN_LONG=1", "WAKECHAN_OVERLAY="+overlay)
	if overlay != "" {
		cmd.Env = append(cmd.Env, "WAKECHAN_PATIENCE="+patience)
	}
	out, err := cmd.CombinedOutput()
	if err == nil {
		if !bytes.Contains(out, []byte("--- PASS")) {
			return verdict{err: errors.New("no test ran: " + strings.Join(arguments, " "))}
		}
		return verdict{}
	}
	return verdict{test: culprit(string(out)), log: string(out)}
}

var (
	failed  = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)
	running = regexp.MustCompile(`(?m)^=== (?:RUN|CONT|NAME) +(\S+)`)
)

// culprit returns the name of the test that failed, or that was running when all ended.
func culprit(log string) string {
	if m := failed.FindStringSubmatch(log); m != nil {
		return m[1]
	}
	if strings.Contains(log, "left something behind") {
		return "TestMain"
	}
	if m := running.FindAllStringSubmatch(log, -1); m != nil {
		name, _, _ := strings.Cut(m[len(m)-1][1], "/")
		return name
	}
	return "a crash"
}

func output(name string, arguments ...string) (string, error) {
	out, err := exec.Command(name, arguments...).Output()
	return string(out), err
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
