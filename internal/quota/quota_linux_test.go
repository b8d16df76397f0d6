package quota

// Tests of one system hold only what that system alone does. This file tests what is
// read of Linux's control groups.

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestProcessors(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  float64
	}{
		"no control groups": {nil, math.Inf(1)},
		"version 1, no limit": {map[string]string{
			"proc/self/cgroup": "4:cpu:/x\n", "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "-1\n",
			"sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n"}, math.Inf(1)},
		"version 1": {map[string]string{
			"proc/self/cgroup": "5:memory:/m\n4:cpu,cpuacct:/x/y\n1:name=systemd:/x/y\n",
			"sys/fs/cgroup/cpu,cpuacct/x/y/cpu.cfs_quota_us": "150000\n", "sys/fs/cgroup/cpu,cpuacct/x/y/cpu.cfs_period_us": "50000\n",
			"sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": "250000\n", "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/memory/m/cpu.cfs_quota_us": "1\n", "sys/fs/cgroup/memory/m/cpu.cfs_period_us": "100000\n"}, 2.5},
		"version 1, a container that sees only itself": {map[string]string{
			"proc/self/cgroup":                   "0::/\n4:cpuacct,cpu:/docker/0123\n",
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 0.5},
		"version 1, without a period": {map[string]string{
			"proc/self/cgroup": "4:cpu:/x\n", "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "50000\n"}, math.Inf(1)},
		"no limit": {map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, math.Inf(1)},
		"a container": {map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "90000 100000\n"}, 0.9},
		"the least of all above": {map[string]string{
			"proc/self/cgroup": "1:name=systemd:/z\n0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "400000 100000\n",
			"sys/fs/cgroup/a/cpu.max": "150000 100000\n", "sys/fs/cgroup/z/cpu.max": "1 100000\n"}, 1.5},
		"nonsense": {map[string]string{
			"proc/self/cgroup": "0::/../..\n", "sys/fs/cgroup/cpu.max": "1 0\n"}, math.Inf(1)},
	} {
		root := t.TempDir()
		for file, text := range c.files {
			file = filepath.Join(root, file)
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
			require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
		}
		assert.Equal(t, c.want, processorsIn(root), name)
	}
	assert.Positive(t, processorsIn("/"))
}

func TestLinger(t *testing.T) {
	assert.Equal(t, time.Second, lingerWith(2, time.Second))
	assert.Zero(t, lingerWith(1.9, time.Second))
	assert.Equal(t, time.Second, lingerWith(math.Inf(1), time.Second))
}
