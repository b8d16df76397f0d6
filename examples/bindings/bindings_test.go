package bindings

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/wakechan/wakechan/internal/testenv"
)

// Each program runs to its end and prints what it should. The gate has the libraries:
// WAKECHAN_REQUIRE=libraries.
func TestBindings(t *testing.T) {
	for _, program := range []struct{ dir, library, want string }{
		{"./zmq4", "libzmq", "20000 replies to 20000 requests\n"},
		{"./sdl", "sdl2", "100 events\n"},
	} {
		t.Run(program.dir, func(t *testing.T) {
			if err := exec.Command("pkg-config", "--exists", program.library).Run(); err != nil {
				testenv.Missing(t, "libraries", "pkg-config knows no "+program.library)
			}
			file := filepath.Join(t.TempDir(), "program")
			build := exec.Command("go", "build", "-o", file, program.dir) // of SDL's binding it takes minutes
			build.Env = append(os.Environ(), "CGO_ENABLED=1")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if out := testenv.Run(t, nil, file); out != program.want {
				t.Errorf("printed %q", out)
			}
		})
	}
}
