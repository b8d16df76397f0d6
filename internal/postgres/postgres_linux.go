package postgres

// This file holds a cluster in a temporary directory. The server refuses to run as root,
// and runs as the user postgres then.

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// Cluster is a server that listens on a socket in a directory, and on no address.
type Cluster struct {
	dir        string
	ctl        string
	credential *syscall.Credential // nil: this process's
}

// Start makes a cluster and waits until it serves.
func Start() (c *Cluster, err error) {
	initdb, ctl := tool("initdb"), tool("pg_ctl")
	if initdb == "" || ctl == "" {
		return nil, ErrMissing
	}
	c = &Cluster{ctl: ctl}
	if c.dir, err = os.MkdirTemp("", "wakechan-postgres-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.Stop()
		}
	}()
	if os.Getuid() == 0 {
		if err := c.dropRoot(); err != nil {
			return nil, err
		}
	}
	if err := c.run(initdb, "-D", c.data(), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"); err != nil {
		return nil, err
	}
	// No fsync: the data need not survive this process.
	options := fmt.Sprintf("-c listen_addresses= -c unix_socket_directories=%s -c fsync=off -c max_connections=200", c.dir)
	return c, c.run(ctl, "-D", c.data(), "-l", filepath.Join(c.dir, "log"), "-o", options, "-w", "-t", "60", "start")
}

func (c *Cluster) dropRoot() error {
	u, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("%w: PostgreSQL does not run as root", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	c.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(c.dir, uid, gid)
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

func (c *Cluster) run(name string, arguments ...string) error {
	cmd := exec.Command(name, arguments...)
	cmd.Dir = c.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.credential}
	out, err := os.CreateTemp("", "wakechan-postgres-")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out // a file: the server that pg_ctl leaves behind would hold a pipe open
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out.Name())
		log, _ := os.ReadFile(filepath.Join(c.dir, "log"))
		return fmt.Errorf("%s: %w\n%s%s", filepath.Base(name), err, said, log)
	}
	return nil
}

// Dir is where the server's socket is: libpq's host.
func (c *Cluster) Dir() string { return c.dir }

// Stop ends the server and removes the cluster.
func (c *Cluster) Stop() {
	_ = c.run(c.ctl, "-D", c.data(), "-m", "immediate", "-w", "stop")
	_ = os.RemoveAll(c.dir)
}
