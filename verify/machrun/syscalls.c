/* libSystem: files, memory, time, processes, sysctl, misc. */
#include "machrun.h"
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <termios.h>

__thread int derrno;

int d_errno_of(int e)
{
	static const u8 t[] = {
		[EAGAIN] = 35, [EDEADLK] = 11, [ENAMETOOLONG] = 63, [ENOLCK] = 77, [ENOSYS] = 78, [ENOTEMPTY] = 66,
		[ELOOP] = 62, [ENOMSG] = 91, [EIDRM] = 90, [ENOSTR] = 99, [ENODATA] = 96, [ETIME] = 101, [ENOSR] = 98,
		[EREMOTE] = 71, [ENOLINK] = 97, [EPROTO] = 100, [EMULTIHOP] = 95, [EBADMSG] = 94, [EOVERFLOW] = 84,
		[EILSEQ] = 92, [EUSERS] = 68, [ENOTSOCK] = 38, [EDESTADDRREQ] = 39, [EMSGSIZE] = 40, [EPROTOTYPE] = 41,
		[ENOPROTOOPT] = 42, [EPROTONOSUPPORT] = 43, [ESOCKTNOSUPPORT] = 44, [EOPNOTSUPP] = 45,
		[EPFNOSUPPORT] = 46, [EAFNOSUPPORT] = 47, [EADDRINUSE] = 48, [EADDRNOTAVAIL] = 49, [ENETDOWN] = 50,
		[ENETUNREACH] = 51, [ENETRESET] = 52, [ECONNABORTED] = 53, [ECONNRESET] = 54, [ENOBUFS] = 55,
		[EISCONN] = 56, [ENOTCONN] = 57, [ESHUTDOWN] = 58, [ETOOMANYREFS] = 59, [ETIMEDOUT] = 60,
		[ECONNREFUSED] = 61, [EHOSTDOWN] = 64, [EHOSTUNREACH] = 65, [EALREADY] = 37, [EINPROGRESS] = 36,
		[ESTALE] = 70, [EDQUOT] = 69, [ECANCELED] = 89, [EOWNERDEAD] = 105, [ENOTRECOVERABLE] = 104,
	};
	if (e >= 0 && e <= 34 && e != EAGAIN) return e;
	if (e > 0 && e < (int)sizeof t && t[e]) return t[e];
	return 5; /* EIO */
}
static long s_error(void) { return (long)&derrno; }

/* ---- flags ---------------------------------------------------------------- */

static const struct { u32 d; int l; } oflags[] = {
	{ 0x1, O_WRONLY }, { 0x2, O_RDWR }, { 0x4, O_NONBLOCK }, { 0x8, O_APPEND }, { 0x40, O_ASYNC }, { 0x80, O_SYNC },
	{ 0x100, O_NOFOLLOW }, { 0x200, O_CREAT }, { 0x400, O_TRUNC }, { 0x800, O_EXCL }, { 0x20000, O_NOCTTY },
	{ 0x100000, O_DIRECTORY }, { 0x400000, O_DSYNC }, { 0x1000000, O_CLOEXEC }, { 0x20000000, O_NOFOLLOW },
	{ 0x200000, O_PATH | O_NOFOLLOW },       /* O_SYMLINK */
};
int fdflags_d2l(int f)
{
	int r = 0;
	for (size_t i = 0; i < sizeof oflags / sizeof *oflags; i++) if ((u32)f & oflags[i].d) r |= oflags[i].l;
	return r;
}
static int fdflags_l2d(int f)
{
	int r = f & O_ACCMODE;
	if (f & O_NONBLOCK) r |= 4;
	if (f & O_APPEND) r |= 8;
	if (f & O_ASYNC) r |= 0x40;
	if ((f & O_SYNC) == O_SYNC) r |= 0x80; else if (f & O_DSYNC) r |= 0x400000;
	return r;
}
static int at(int fd) { return fd == -2 ? AT_FDCWD : fd; }
static int atflags(int f) { return (f & 0x20 ? AT_SYMLINK_NOFOLLOW : 0) | (f & 0x40 ? AT_SYMLINK_FOLLOW : 0) | (f & 0x10 ? AT_EACCESS : 0); }

/* ---- descriptors ------------------------------------------------------------ */

static long do_open(int dir, const char *p, int fl, int mode)
{
	int fd = openat(dir, p, fdflags_d2l(fl), mode);
	if (fd >= 0 && fl & 0x30) {              /* O_SHLOCK, O_EXLOCK */
		if (flock(fd, (fl & 0x20 ? LOCK_EX : LOCK_SH) | (fl & 4 ? LOCK_NB : 0)) != 0) { int e = errno; close(fd); errno = e; return dret(-1); }
	}
	return dret(fd);
}
static long s_open(const char *p, int fl, int mode) { return do_open(AT_FDCWD, p, fl, mode); }
static long s_openat(int d, const char *p, int fl, int mode) { return do_open(at(d), p, fl, mode); }
static long s_close(int fd) { kq_fd_closing(fd); return dret(close(fd)); }
static long s_read(int fd, void *b, size_t n) { return dret(read(fd, b, n)); }
static long s_write(int fd, const void *b, size_t n) { return dret(write(fd, b, n)); }
static long s_pread(int fd, void *b, size_t n, off_t o) { return dret(pread(fd, b, n, o)); }
static long s_pwrite(int fd, const void *b, size_t n, off_t o) { return dret(pwrite(fd, b, n, o)); }
static long s_readv(int fd, const struct iovec *v, int n) { return dret(readv(fd, v, n)); }
static long s_writev(int fd, const struct iovec *v, int n) { return dret(writev(fd, v, n)); }
static long s_preadv(int fd, const struct iovec *v, int n, off_t o) { return dret(preadv(fd, v, n, o)); }
static long s_pwritev(int fd, const struct iovec *v, int n, off_t o) { return dret(pwritev(fd, v, n, o)); }
static long s_lseek(int fd, off_t o, int wh)
{
	if (wh == 3) wh = SEEK_HOLE; else if (wh == 4) wh = SEEK_DATA;   /* numbered the other way round */
	return dret(lseek(fd, o, wh));
}
static long s_pipe(int *p) { return dret(pipe(p)); }
static long s_dup(int fd) { int n = dup(fd); kq_fd_dup(fd, n); return dret(n); }
static long s_dup2(int a, int b) { if (a != b && fcntl(a, F_GETFD) >= 0) kq_fd_closing(b); int n = dup2(a, b); kq_fd_dup(a, n); return dret(n); }

struct dflock { i64 start, len; i32 pid; i16 type, whence; };
static long do_lock(int fd, int cmd, struct dflock *d)
{
	struct flock l = { .l_whence = d->whence, .l_start = d->start, .l_len = d->len };
	l.l_type = d->type == 1 ? F_RDLCK : d->type == 3 ? F_WRLCK : F_UNLCK;
	int r = fcntl(fd, cmd, &l);
	if (r == 0 && (cmd == F_GETLK || cmd == F_OFD_GETLK)) {
		d->type = l.l_type == F_RDLCK ? 1 : l.l_type == F_WRLCK ? 3 : 2;
		d->start = l.l_start; d->len = l.l_len; d->pid = l.l_pid; d->whence = l.l_whence;
	}
	return dret(r);
}
static long s_fcntl(int fd, int cmd, long arg)
{
	int r;
	switch (cmd) {
	case 0: case 67:
		r = fcntl(fd, cmd ? F_DUPFD_CLOEXEC : F_DUPFD, (int)arg);
		kq_fd_dup(fd, r);
		return dret(r);
	case 1: return dret(fcntl(fd, F_GETFD));
	case 2: return dret(fcntl(fd, F_SETFD, (int)arg));
	case 3: r = fcntl(fd, F_GETFL); return r < 0 ? dret(-1) : fdflags_l2d(r);
	case 4: return dret(fcntl(fd, F_SETFL, fdflags_d2l((int)arg)));
	case 5: return dret(fcntl(fd, F_GETOWN));
	case 6: return dret(fcntl(fd, F_SETOWN, (int)arg));
	case 7: return do_lock(fd, F_GETLK, (void *)arg);
	case 8: return do_lock(fd, F_SETLK, (void *)arg);
	case 9: return do_lock(fd, F_SETLKW, (void *)arg);
	case 90: return do_lock(fd, F_OFD_SETLK, (void *)arg);
	case 91: return do_lock(fd, F_OFD_SETLKW, (void *)arg);
	case 92: return do_lock(fd, F_OFD_GETLK, (void *)arg);
	case 50: {                               /* F_GETPATH */
		char l[64]; snprintf(l, sizeof l, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(l, (char *)arg, 1023);
		if (n < 0) return dfail(D_EBADF);
		((char *)arg)[n] = 0;
		return 0; }
	case 51: return dret(fsync(fd));         /* F_FULLFSYNC */
	case 85: return dret(fdatasync(fd));     /* F_BARRIERFSYNC */
	case 48: case 45: case 73: return fcntl(fd, F_GETFD) < 0 ? dret(-1) : 0; /* F_NOCACHE F_RDAHEAD F_SETNOSIGPIPE */
	}
	if (trace) dprintf(2, "machrun: fcntl cmd %d not supported\n", cmd);
	return dfail(D_ENOTSUP);
}
static long s_ioctl(int fd, unsigned long req, void *arg)
{
	switch ((u32)req) {
	case 0x40087468: return dret(ioctl(fd, TIOCGWINSZ, arg));
	case 0x80087467: return dret(ioctl(fd, TIOCSWINSZ, arg));
	case 0x80047476: return dret(ioctl(fd, TIOCSPGRP, arg));
	case 0x40047477: return dret(ioctl(fd, TIOCGPGRP, arg));
	case 0x20007461: return dret(ioctl(fd, TIOCSCTTY, 0));
	case 0x20007471: return dret(ioctl(fd, TIOCNOTTY, 0));
	case 0x4004667f: return dret(ioctl(fd, FIONREAD, arg));
	case 0x8004667e: return dret(ioctl(fd, FIONBIO, arg));
	case 0x20006601: return dret(ioctl(fd, FIOCLEX));
	case 0x20006602: return dret(ioctl(fd, FIONCLEX));
	}
	if (fcntl(fd, F_GETFD) < 0) return dret(-1);
	return dfail(25); /* ENOTTY: includes termios calls, so nothing looks like a terminal */
}

/* ---- paths ------------------------------------------------------------------- */

struct dstat {
	i32 dev; u16 mode, nlink; u64 ino; u32 uid, gid; i32 rdev, pad;
	struct timespec at, mt, ct, bt; i64 size, blocks; i32 blksize; u32 flags, gen; i32 spare; i64 q[2];
};
static i32 ddev(dev_t d) { return (i32)(major(d) << 24 | (minor(d) & 0xffffff)); }
static long do_stat(int dir, const char *p, struct dstat *d, int fl)
{
	struct statx sx; struct stat s;
	if (fstatat(dir, p, &s, fl) != 0) return dret(-1);
	memset(d, 0, sizeof *d);
	d->dev = ddev(s.st_dev); d->mode = s.st_mode; d->nlink = s.st_nlink; d->ino = s.st_ino;
	d->uid = s.st_uid; d->gid = s.st_gid; d->rdev = ddev(s.st_rdev);
	d->at = s.st_atim; d->mt = s.st_mtim; d->ct = s.st_ctim; d->bt = s.st_ctim;
	if (statx(dir, p, fl, STATX_BTIME, &sx) == 0 && sx.stx_mask & STATX_BTIME) { d->bt.tv_sec = sx.stx_btime.tv_sec; d->bt.tv_nsec = sx.stx_btime.tv_nsec; }
	d->size = s.st_size; d->blocks = s.st_blocks; d->blksize = s.st_blksize;
	return 0;
}
static long s_stat(const char *p, struct dstat *d) { return do_stat(AT_FDCWD, p, d, 0); }
static long s_lstat(const char *p, struct dstat *d) { return do_stat(AT_FDCWD, p, d, AT_SYMLINK_NOFOLLOW); }
static long s_fstat(int fd, struct dstat *d) { return do_stat(fd, "", d, AT_EMPTY_PATH); }
static long s_fstatat(int dir, const char *p, struct dstat *d, int fl) { return do_stat(at(dir), p, d, atflags(fl)); }

static long s_access(const char *p, int m) { return dret(access(p, m)); }
static long s_faccessat(int d, const char *p, int m, int f) { return dret(faccessat(at(d), p, m, atflags(f))); }
static long s_chdir(const char *p) { return dret(chdir(p)); }
static long s_fchdir(int fd) { return dret(fchdir(fd)); }
static long s_chroot(const char *p) { return dret(chroot(p)); }
static long s_chmod(const char *p, u16 m) { return dret(chmod(p, m)); }
static long s_fchmod(int fd, u16 m) { return dret(fchmod(fd, m)); }
static long s_fchmodat(int d, const char *p, u16 m, int f) { return dret(fchmodat(at(d), p, m, atflags(f))); }
static long s_chown(const char *p, int u, int g) { return dret(chown(p, u, g)); }
static long s_lchown(const char *p, int u, int g) { return dret(lchown(p, u, g)); }
static long s_fchown(int fd, int u, int g) { return dret(fchown(fd, u, g)); }
static long s_fchownat(int d, const char *p, int u, int g, int f) { return dret(fchownat(at(d), p, u, g, atflags(f))); }
static long s_link(const char *a, const char *b) { return dret(link(a, b)); }
static long s_linkat(int d, const char *a, int e, const char *b, int f) { return dret(linkat(at(d), a, at(e), b, atflags(f))); }
static long s_symlink(const char *a, const char *b) { return dret(symlink(a, b)); }
static long s_symlinkat(const char *a, int d, const char *b) { return dret(symlinkat(a, at(d), b)); }
static long s_readlink(const char *p, char *b, size_t n) { return dret(readlink(p, b, n)); }
static long s_readlinkat(int d, const char *p, char *b, size_t n) { return dret(readlinkat(at(d), p, b, n)); }
static long s_mkdir(const char *p, u16 m) { return dret(mkdir(p, m)); }
static long s_mkdirat(int d, const char *p, u16 m) { return dret(mkdirat(at(d), p, m)); }
static long s_rmdir(const char *p) { return dret(rmdir(p)); }
static long s_mkfifo(const char *p, u16 m) { return dret(mkfifo(p, m)); }
static long s_mknod(const char *p, u16 m, u32 dev) { return dret(mknod(p, m, makedev(dev >> 24, dev & 0xffffff))); }
/* unlink() of a directory: Linux says EISDIR, Darwin EPERM */
static long s_unlink(const char *p) { long r = unlink(p); if (r && errno == EISDIR) errno = EPERM; return dret(r); }
static long s_unlinkat(int d, const char *p, int f) { long r = unlinkat(at(d), p, f & 0x80 ? AT_REMOVEDIR : 0); if (r && errno == EISDIR) errno = EPERM; return dret(r); }
static long s_rename(const char *a, const char *b) { return dret(rename(a, b)); }
static long s_renameat(int d, const char *a, int e, const char *b) { return dret(renameat(at(d), a, at(e), b)); }
static long s_renameatx(int d, const char *a, int e, const char *b, u32 f) { return dret(renameat2(at(d), a, at(e), b, (f & 4 ? 1 : 0) | (f & 2 ? 2 : 0))); }
static long s_renamex(const char *a, const char *b, u32 f) { return s_renameatx(-2, a, -2, b, f); }
static long s_truncate(const char *p, off_t n) { return dret(truncate(p, n)); }
static long s_ftruncate(int fd, off_t n) { return dret(ftruncate(fd, n)); }
static long s_fsync(int fd) { return dret(fsync(fd)); }
static long s_sync(void) { sync(); return 0; }
static long s_flock(int fd, int op) { return dret(flock(fd, op)); }
static long s_umask(int m) { return umask(m); }
static long s_getcwd(char *b, size_t n) { char tmp[PATH_MAX]; if (!b) return (long)getcwd(NULL, n); if (!getcwd(tmp, sizeof tmp)) { dret(-1); return 0; } if (strlen(tmp) >= n) { derrno = 34; return 0; } return (long)strcpy(b, tmp); }
struct dtimeval { i64 sec; i32 usec, pad; };
static long s_utimes(const char *p, const struct dtimeval *t)
{
	struct timeval l[2];
	if (t) for (int i = 0; i < 2; i++) { l[i].tv_sec = t[i].sec; l[i].tv_usec = t[i].usec; }
	return dret(utimes(p, t ? l : NULL));
}
static long s_futimes(int fd, const struct dtimeval *t)
{
	struct timeval l[2];
	if (t) for (int i = 0; i < 2; i++) { l[i].tv_sec = t[i].sec; l[i].tv_usec = t[i].usec; }
	return dret(futimes(fd, t ? l : NULL));
}
static long s_utimensat(int d, const char *p, const struct timespec *t, int f)
{
	struct timespec l[2];
	if (t) for (int i = 0; i < 2; i++) { l[i] = t[i]; if (l[i].tv_nsec == -1) l[i].tv_nsec = UTIME_NOW; else if (l[i].tv_nsec == -2) l[i].tv_nsec = UTIME_OMIT; }
	return dret(utimensat(at(d), p, t ? l : NULL, atflags(f)));
}
struct dstatfs { u32 bsize; i32 iosize; u64 blocks, bfree, bavail, files, ffree; i32 fsid[2]; u32 owner, type, flags, sub; char name[16], on[1024], from[1024]; u32 res[8]; };
static void cvt_statfs(const struct statfs *s, struct dstatfs *d)
{
	memset(d, 0, sizeof *d);
	d->bsize = s->f_bsize; d->iosize = s->f_bsize; d->blocks = s->f_blocks; d->bfree = s->f_bfree; d->bavail = s->f_bavail;
	d->files = s->f_files; d->ffree = s->f_ffree; memcpy(d->fsid, &s->f_fsid, 8);
	strcpy(d->name, "apfs"); strcpy(d->on, "/"); strcpy(d->from, "/dev/disk1s1");
}
static long s_statfs(const char *p, struct dstatfs *d) { struct statfs s; if (statfs(p, &s)) return dret(-1); cvt_statfs(&s, d); return 0; }
static long s_fstatfs(int fd, struct dstatfs *d) { struct statfs s; if (fstatfs(fd, &s)) return dret(-1); cvt_statfs(&s, d); return 0; }
static long s_getfsstat(struct dstatfs *d, int n, int f) { (void)f; if (d && n >= (int)sizeof *d) s_statfs("/", d); return 1; }

struct ddirent { u64 ino, off; u16 reclen, namlen; u8 type; char name[1024]; };
static long s_fdopendir(int fd) { DIR *d = fdopendir(fd); if (!d) { dret(-1); return 0; } return (long)d; }
static long s_closedir(DIR *d) { kq_fd_closing(dirfd(d)); return dret(closedir(d)); }
static long s_rewinddir(DIR *d) { rewinddir(d); return 0; }
static long s_readdir_r(DIR *d, struct ddirent *e, struct ddirent **out)
{
	errno = 0;
	struct dirent *l = readdir(d);
	*out = NULL;
	if (!l) return errno ? d_errno_of(errno) : 0;
	size_t n = strlen(l->d_name);
	e->ino = l->d_ino; e->off = 0; e->namlen = n; e->type = l->d_type;
	e->reclen = (offsetof(struct ddirent, name) + n + 1 + 7) & ~7;
	memcpy(e->name, l->d_name, n + 1);
	*out = e;
	return 0;
}
/* xattr calls carry position and options arguments; ENODATA is called ENOATTR */
static long xret(long r) { if (r == -1 && errno == ENODATA) return dfail(93); return dret(r); }
static long s_getxattr(const char *p, const char *n, void *v, size_t z, u32 pos, int o) { (void)pos; return xret(o & 1 ? lgetxattr(p, n, v, z) : getxattr(p, n, v, z)); }
static long s_fgetxattr(int fd, const char *n, void *v, size_t z, u32 pos, int o) { (void)pos; (void)o; return xret(fgetxattr(fd, n, v, z)); }
static long s_setxattr(const char *p, const char *n, void *v, size_t z, u32 pos, int o) { (void)pos; int f = o >> 1 & 3; return xret(o & 1 ? lsetxattr(p, n, v, z, f) : setxattr(p, n, v, z, f)); }
static long s_fsetxattr(int fd, const char *n, void *v, size_t z, u32 pos, int o) { (void)pos; return xret(fsetxattr(fd, n, v, z, o >> 1 & 3)); }
static long s_removexattr(const char *p, const char *n, int o) { return xret(o & 1 ? lremovexattr(p, n) : removexattr(p, n)); }
static long s_fremovexattr(int fd, const char *n, int o) { (void)o; return xret(fremovexattr(fd, n)); }
static long s_listxattr(const char *p, char *b, size_t z, int o) { return xret(o & 1 ? llistxattr(p, b, z) : listxattr(p, b, z)); }
static long s_flistxattr(int fd, char *b, size_t z, int o) { (void)o; return xret(flistxattr(fd, b, z)); }
static long s_enotsup(void) { return dfail(D_ENOTSUP); }
static long s_zero(void) { return 0; }

/* ---- memory ---------------------------------------------------------------------- */

static long s_mmap(void *a, size_t n, int prot, int fl, int fd, off_t off)
{
	int l = fl & 0x1f;                       /* SHARED, PRIVATE, FIXED agree */
	if (fl & 0x1000) { l |= MAP_ANONYMOUS; fd = -1; }
	l |= MAP_NORESERVE;                      /* Darwin never refuses to overcommit */
	void *p = mmap(a, n, prot, l, fd, off);
	return p == MAP_FAILED ? dret(-1) : (long)p;
}
static long s_munmap(void *a, size_t n) { return dret(munmap(a, n)); }
static long s_mprotect(void *a, size_t n, int p) { return dret(mprotect(a, n, p)); }
static long s_madvise(void *a, size_t n, int adv)
{
	switch (adv) {
	case 0: return dret(madvise(a, n, MADV_NORMAL));
	case 1: return dret(madvise(a, n, MADV_RANDOM));
	case 2: return dret(madvise(a, n, MADV_SEQUENTIAL));
	case 3: return dret(madvise(a, n, MADV_WILLNEED));
	case 7: return dret(madvise(a, n, MADV_DONTNEED)); /* FREE_REUSABLE: contents may go at once */
	case 5: return dret(madvise(a, n, MADV_FREE));
	case 4: case 8: return 0;                /* DONTNEED is not destructive on Darwin; FREE_REUSE */
	}
	return dfail(D_EINVAL);
}
static long s_mlock(void *a, size_t n) { return dret(mlock(a, n)); }
static long s_munlock(void *a, size_t n) { return dret(munlock(a, n)); }
static long s_mlockall(int f) { return dret(mlockall(f)); }
static long s_munlockall(void) { return dret(munlockall()); }
static long s_msync(void *a, size_t n, int f) { return dret(msync(a, n, (f & 1 ? MS_ASYNC : 0) | (f & 2 ? MS_INVALIDATE : 0) | (f & 0x10 ? MS_SYNC : 0))); }

/* ---- time -------------------------------------------------------------------------- */

static long s_mach_absolute_time(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000l + t.tv_nsec; }
static long s_timebase(u32 *p) { p[0] = p[1] = 1; return 0; }
static long s_clock_gettime(int id, struct timespec *t)
{
	int l;
	switch (id) {
	case 0: l = CLOCK_REALTIME; break;
	case 4: case 5: l = CLOCK_MONOTONIC_RAW; break;
	case 6: case 8: case 9: l = CLOCK_MONOTONIC; break;
	case 12: l = CLOCK_PROCESS_CPUTIME_ID; break;
	case 16: l = CLOCK_THREAD_CPUTIME_ID; break;
	default: return dfail(D_EINVAL);
	}
	return dret(clock_gettime(l, t));
}
static long s_gettimeofday(struct dtimeval *t, void *tz) { (void)tz; struct timeval l; gettimeofday(&l, NULL); if (t) { t->sec = l.tv_sec; t->usec = l.tv_usec; } return 0; }
static long s_usleep(u32 us) { struct timespec t = { us / 1000000, us % 1000000 * 1000l }; return dret(nanosleep(&t, NULL)); }

/* ---- processes ----------------------------------------------------------------------- */

static long s_exit(int c) { _exit(c); }
static long s_fork(void)
{
	pid_t p = fork();
	if (p == 0) { kq_forked(); thread_forked(); }
	return dret(p);
}
static bool is_macho(const char *p)
{
	u32 m = 0; int fd = open(p, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return false;
	bool r = read(fd, &m, 4) == 4 && m == 0xfeedfacf;
	close(fd);
	return r;
}
/* Darwin executables are run through machrun again; anything else natively. */
static long s_execve(const char *path, char **argv, char **envp)
{
	if (access(path, X_OK) == 0 && is_macho(path)) {
		size_t n = 0, m = 0;
		while (argv[n]) n++;
		while (envp && envp[m]) m++;
		char **a = alloca((n + 3) * sizeof *a), **e = alloca((m + 2) * sizeof *e);
		a[0] = self_path; a[1] = (char *)path;
		for (size_t i = 1; i <= n; i++) a[i + 1] = argv[i];
		if (n == 0) a[2] = NULL;
		for (size_t i = 0; i < m; i++) e[i] = envp[i];
		char *a0 = alloca(strlen(n ? argv[0] : path) + 16);
		sprintf(a0, "MACHRUN_ARGV0=%s", n ? argv[0] : path);
		e[m] = a0; e[m + 1] = NULL;
		return dret(execve(self_path, a, e));
	}
	return dret(execve(path, argv, envp));
}
static int status_l2d(int s)
{
	if (WIFEXITED(s)) return s;
	if (WIFSTOPPED(s)) return sig_l2d(WSTOPSIG(s)) << 8 | 0x7f;
	if (WIFCONTINUED(s)) return 0x137f;
	return sig_l2d(WTERMSIG(s)) | (WCOREDUMP(s) ? 0x80 : 0);
}
static long s_wait4(int pid, int *st, int opt, struct rusage *ru)
{
	int s, r = wait4(pid, &s, (opt & 1 ? WNOHANG : 0) | (opt & 2 ? WUNTRACED : 0) | (opt & 0x10 ? WCONTINUED : 0), ru);
	if (r > 0 && st) *st = status_l2d(s);
	if (r > 0 && ru) ru->ru_maxrss *= 1024;
	return dret(r);
}
static long s_getrusage(int who, struct rusage *ru) { int r = getrusage(who, ru); if (r == 0) ru->ru_maxrss *= 1024; return dret(r); }
static int rlim(int d) { static const int t[] = { RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_AS, RLIMIT_MEMLOCK, RLIMIT_NPROC, RLIMIT_NOFILE }; return d >= 0 && d < 9 ? t[d] : -1; }
#define DINF 0x7fffffffffffffffull
static long s_getrlimit(int r, u64 *d)
{
	struct rlimit l;
	if (getrlimit(rlim(r & 0xff), &l)) return dret(-1);
	d[0] = l.rlim_cur == RLIM_INFINITY ? DINF : l.rlim_cur; d[1] = l.rlim_max == RLIM_INFINITY ? DINF : l.rlim_max;
	return 0;
}
static long s_setrlimit(int r, const u64 *d)
{
	struct rlimit l = { d[0] >= DINF ? RLIM_INFINITY : d[0], d[1] >= DINF ? RLIM_INFINITY : d[1] };
	return dret(setrlimit(rlim(r & 0xff), &l));
}
static long s_getpid(void) { return getpid(); }
static long s_getppid(void) { return getppid(); }
static long s_getuid(void) { return getuid(); }
static long s_geteuid(void) { return geteuid(); }
static long s_getgid(void) { return getgid(); }
static long s_getegid(void) { return getegid(); }
static long s_getpgrp(void) { return getpgrp(); }
static long s_getpgid(int p) { return dret(getpgid(p)); }
static long s_setpgid(int p, int g) { return dret(setpgid(p, g)); }
static long s_getsid(int p) { return dret(getsid(p)); }
static long s_setsid(void) { return dret(setsid()); }
static long s_setuid(int u) { return dret(setuid(u)); }
static long s_setgid(int g) { return dret(setgid(g)); }
static long s_seteuid(int u) { return dret(seteuid(u)); }
static long s_setegid(int g) { return dret(setegid(g)); }
static long s_setreuid(int a, int b) { return dret(setreuid(a, b)); }
static long s_setregid(int a, int b) { return dret(setregid(a, b)); }
static long s_getgroups(int n, gid_t *g) { return dret(getgroups(n, g)); }
static long s_setgroups(int n, const gid_t *g) { return dret(setgroups(n, g)); }
static long s_getpriority(int w, int who) { return dret(getpriority(w, who)); }
static long s_setpriority(int w, int who, int p) { return dret(setpriority(w, who, p)); }
static long s_getdtablesize(void) { return getdtablesize(); }
static long s_select(int n, void *r, void *w, void *e, struct dtimeval *t)
{
	struct timeval l;
	if (t) { l.tv_sec = t->sec; l.tv_usec = t->usec; }
	return dret(select(n, r, w, e, t ? &l : NULL));
}
static long s_poll(struct pollfd *p, u32 n, int t) { return dret(poll(p, n, t)); }
static long s_sysconf(int n)
{
	switch (n) {
	case 1: return sysconf(_SC_ARG_MAX);
	case 5: return sysconf(_SC_OPEN_MAX);
	case 29: return 4096;
	case 57: return sysconf(_SC_NPROCESSORS_CONF);
	case 58: return sysconf(_SC_NPROCESSORS_ONLN);
	case 70: case 71: return 4096;           /* GETGR_R, GETPW_R sizes */
	case 72: return 255;
	}
	return dfail(D_EINVAL);
}
static long s_arc4random_buf(void *b, size_t n)
{
	for (u8 *p = b; n; ) { ssize_t r = getrandom(p, n, 0); if (r > 0) { p += r; n -= r; } }
	return 0;
}

/* ---- sysctl ----------------------------------------------------------------------------- */

static const char *const sysnames[] = {
	"kern.ostype", "kern.osrelease", "kern.version", "kern.hostname", "kern.osproductversion", "kern.osversion",
	"hw.machine", "hw.model", "machdep.cpu.brand_string", "kern.maxfilesperproc", "kern.maxfiles", "hw.ncpu",
	"hw.logicalcpu", "hw.physicalcpu", "hw.activecpu", "hw.pagesize", "hw.memsize", "kern.ipc.somaxconn",
	"kern.maxproc", "hw.byteorder", "net.inet.tcp.keepidle", NULL };
static int ncpu(void)
{
	cpu_set_t s;
	return sched_getaffinity(0, sizeof s, &s) == 0 ? CPU_COUNT(&s) : 1;
}
static long give(void *old, size_t *len, const void *v, size_t n)
{
	if (!len) return 0;
	if (!old) { *len = n; return 0; }
	if (*len < n) { memcpy(old, v, *len); return dfail(12); }
	memcpy(old, v, n); *len = n;
	return 0;
}
static long sys_value(const char *name, void *old, size_t *len)
{
	struct utsname u; uname(&u);
	const char *s = NULL; i64 v = -1; size_t n = 4;
	struct rlimit rl;
	if (!strcmp(name, "kern.ostype")) s = "Darwin";
	else if (!strcmp(name, "kern.osrelease")) s = "23.6.0";
	else if (!strcmp(name, "kern.version")) s = "Darwin Kernel Version 23.6.0: machrun on Linux";
	else if (!strcmp(name, "kern.hostname")) s = u.nodename;
	else if (!strcmp(name, "kern.osproductversion")) s = "14.6";
	else if (!strcmp(name, "kern.osversion")) s = "23G80";
	else if (!strcmp(name, "hw.machine")) s = "x86_64";
	else if (!strcmp(name, "hw.model")) s = "machrun1,1";
	else if (!strcmp(name, "machdep.cpu.brand_string")) s = "machrun";
	else if (!strcmp(name, "kern.maxfilesperproc") || !strcmp(name, "kern.maxfiles")) v = getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_max < (1u << 30) ? (i64)rl.rlim_max : 1 << 20;
	else if (!strcmp(name, "hw.ncpu") || !strcmp(name, "hw.logicalcpu") || !strcmp(name, "hw.physicalcpu") || !strcmp(name, "hw.activecpu")) v = ncpu();
	else if (!strcmp(name, "hw.pagesize")) v = 4096;
	else if (!strcmp(name, "hw.memsize")) { v = sysconf(_SC_PHYS_PAGES) * 4096l; n = 8; }
	else if (!strcmp(name, "kern.ipc.somaxconn")) v = 128;
	else if (!strcmp(name, "kern.maxproc")) v = 4096;
	else if (!strcmp(name, "hw.byteorder")) v = 1234;
	else if (!strcmp(name, "net.inet.tcp.keepidle")) v = 7200000;
	if (s) return give(old, len, s, strlen(s) + 1);
	if (v >= 0) return give(old, len, &v, n);
	return dfail(2);                         /* e.g. hw.optional.*: feature absent */
}
#define MIB_NAMED 0x6d72                         /* made-up top level id for name lookups */
static long s_sysctl(const int *mib, u32 n, void *old, size_t *len, void *new, size_t newlen)
{
	if (n == 2 && mib[0] == 0 && mib[1] == 3) {      /* name -> mib */
		char nm[128]; size_t k = newlen < 127 ? newlen : 127;
		memcpy(nm, new, k); nm[k] = 0;
		for (int i = 0; sysnames[i]; i++) if (!strcmp(nm, sysnames[i])) { int m[2] = { MIB_NAMED, i }; return give(old, len, m, sizeof m); }
		return dfail(2);
	}
	if (new) return dfail(1);
	if (n == 2 && mib[0] == MIB_NAMED) return sys_value(sysnames[mib[1]], old, len);
	if (n == 2 && mib[0] == 6) switch (mib[1]) {
		case 1: return sys_value("hw.machine", old, len);
		case 2: return sys_value("hw.model", old, len);
		case 3: return sys_value("hw.ncpu", old, len);
		case 7: return sys_value("hw.pagesize", old, len);
		case 24: return sys_value("hw.memsize", old, len);
	}
	if (n == 2 && mib[0] == 1) switch (mib[1]) {
		case 1: return sys_value("kern.ostype", old, len);
		case 2: return sys_value("kern.osrelease", old, len);
		case 4: return sys_value("kern.version", old, len);
		case 10: return sys_value("kern.hostname", old, len);
		case 29: return sys_value("kern.maxfilesperproc", old, len);
	}
	if (n >= 2 && mib[0] == 4 && mib[1] == 17) { if (len) *len = 0; return 0; } /* routing table: empty */
	if (trace) dprintf(2, "machrun: sysctl {%d,%d,..} unknown\n", mib[0], n > 1 ? mib[1] : -1);
	return dfail(2);
}
static long s_sysctlbyname(const char *name, void *old, size_t *len, void *new, size_t newlen)
{
	(void)newlen;
	if (new) return dfail(1);
	return sys_value(name, old, len);
}

/* ---- users, groups ------------------------------------------------------------------------ */

struct dpasswd { char *name, *passwd; u32 uid, gid; i64 change; char *class, *gecos, *dir, *shell; i64 expire; };
static long pw_out(int r, struct passwd *l, struct passwd *res, struct dpasswd *d, struct dpasswd **out)
{
	*out = NULL;
	if (r) return d_errno_of(r);
	if (res) { *d = (struct dpasswd){ l->pw_name, l->pw_passwd, l->pw_uid, l->pw_gid, 0, "", l->pw_gecos, l->pw_dir, l->pw_shell, 0 }; *out = d; }
	return 0;
}
static long s_getpwnam_r(const char *n, struct dpasswd *d, char *b, size_t z, struct dpasswd **o) { struct passwd l, *res = NULL; int r = getpwnam_r(n, &l, b, z, &res); return pw_out(r, &l, res, d, o); }
static long s_getpwuid_r(u32 u, struct dpasswd *d, char *b, size_t z, struct dpasswd **o) { struct passwd l, *res = NULL; int r = getpwuid_r(u, &l, b, z, &res); return pw_out(r, &l, res, d, o); }
static long s_getgrnam_r(const char *n, struct group *g, char *b, size_t z, struct group **o) { return d_errno_of(getgrnam_r(n, g, b, z, o)); }
static long s_getgrgid_r(u32 u, struct group *g, char *b, size_t z, struct group **o) { return d_errno_of(getgrgid_r(u, g, b, z, o)); }
static long s_getgrouplist(const char *n, int g, int *gs, int *ng) { return getgrouplist(n, g, (gid_t *)gs, ng) < 0 ? -1 : 0; }

static long s_posix_openpt(int f) { return dret(posix_openpt(fdflags_d2l(f))); }
static long s_grantpt(int fd) { return dret(grantpt(fd)); }
static long s_unlockpt(int fd) { return dret(unlockpt(fd)); }
static long s_ptsname_r(int fd, char *b, size_t n) { return ptsname_r(fd, b, n) ? dret(-1) : 0; }
static long s_getenv(const char *n) { return (long)getenv(n); }

static u32 mach_task_self_var = 0x103;
static long s_mach_vm_region(void) { return 1; } /* KERN_INVALID_ADDRESS: pprof then has no mappings */

const struct sym syms_sys[] = {
#define S(n) { #n, s_##n }
	{ "__error", s_error }, { "write$NOCANCEL", s_write }, S(open), S(openat), S(close), S(read), S(write), S(pread), S(pwrite), S(readv), S(writev),
	S(preadv), S(pwritev), S(lseek), S(pipe), S(dup), S(dup2), S(fcntl), S(ioctl),
	{ "stat64", s_stat }, { "lstat64", s_lstat }, { "fstat64", s_fstat }, { "fstatat64", s_fstatat },
	S(access), S(faccessat), S(chdir), S(fchdir), S(chroot), S(chmod), S(fchmod), S(fchmodat), S(chown), S(lchown),
	S(fchown), S(fchownat), S(link), S(linkat), S(symlink), S(symlinkat), S(readlink), S(readlinkat), S(mkdir),
	S(mkdirat), S(rmdir), S(mkfifo), S(mknod), S(unlink), S(unlinkat), S(rename), S(renameat),
	{ "renamex_np", s_renamex }, { "renameatx_np", s_renameatx }, S(truncate), S(ftruncate), S(fsync), S(sync), S(flock),
	S(umask), S(getcwd), S(utimes), S(futimes), S(utimensat),
	{ "statfs64", s_statfs }, { "fstatfs64", s_fstatfs }, { "getfsstat", s_getfsstat }, { "getfsstat64", s_getfsstat },
	S(fdopendir), S(closedir), S(rewinddir), S(readdir_r),
	S(getxattr), S(fgetxattr), S(setxattr), S(fsetxattr), S(removexattr), S(fremovexattr), S(listxattr), S(flistxattr),
	{ "clonefile", s_enotsup }, { "clonefileat", s_enotsup }, { "fclonefileat", s_enotsup }, { "chflags", s_enotsup },
	{ "fchflags", s_enotsup }, { "ptrace", s_enotsup },
	S(mmap), S(munmap), S(mprotect), S(madvise), S(mlock), S(munlock), S(mlockall), S(munlockall), S(msync),
	S(mach_absolute_time), { "mach_timebase_info", s_timebase }, S(clock_gettime), S(gettimeofday), S(usleep),
	{ "_exit", s_exit }, { "exit", s_exit }, S(fork), S(execve), S(wait4), S(getrusage), S(getrlimit), S(setrlimit),
	S(getpid), S(getppid), S(getuid), S(geteuid), S(getgid), S(getegid), S(getpgrp), S(getpgid), S(setpgid), S(getsid),
	S(setsid), S(setuid), S(setgid), S(seteuid), S(setegid), S(setreuid), S(setregid), S(getgroups), S(setgroups),
	S(getpriority), S(setpriority), S(getdtablesize), S(select), S(poll), S(sysconf), S(arc4random_buf),
	S(sysctl), S(sysctlbyname), S(getpwnam_r), S(getpwuid_r), S(getgrnam_r), S(getgrgid_r), S(getgrouplist),
	S(posix_openpt), S(grantpt), S(unlockpt), S(ptsname_r), S(getenv),
	{ "issetugid", s_zero }, { "notify_is_valid_token", s_zero }, { "xpc_date_create_from_current", s_zero },
	{ "mach_task_self_", &mach_task_self_var }, S(mach_vm_region), { "proc_regionfilename", s_zero },
	{ 0, 0 }
};
