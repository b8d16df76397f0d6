package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/wakechan/wakechan/internal/testenv"
)

func TestWithoutLibzmqItSaysSo(t *testing.T) {
	if open != nil {
		t.Skip("this is built with libzmq")
	}
	var out bytes.Buffer
	if err := run(context.Background(), &out); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(out.Bytes(), []byte("nothing to show here: built without libzmq")) {
		t.Errorf("printed:\n%s", &out)
	}
}

// TestAllArrive builds and runs the program as its comment says.
func TestAllArrive(t *testing.T) {
	for _, tool := range []string{"go", "gcc", "pkg-config"} {
		if _, err := exec.LookPath(tool); err != nil {
			testenv.Missing(t, "zmq", err.Error())
		}
	}
	if err := exec.Command("pkg-config", "--exists", "libzmq").Run(); err != nil {
		testenv.Missing(t, "zmq", "pkg-config knows no libzmq")
	}
	if testing.Short() {
		t.Skip("compiles C")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 6*testenv.Patience())
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "run", "-tags", "zmq", ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1") // also when this test is built without
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := regexp.MustCompile(`^(?: *\d+ ms: burst \d of 8 is complete\n){8}4000 messages received, 0 lost, in \d+ wake-ups\n$`)
	if !want.Match(out) {
		t.Errorf("printed:\n%s", out)
	}
}
