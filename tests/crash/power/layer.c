/*
 * Preloaded into arkloop by tests/crash (LD_PRELOAD). It
 *  - keeps a journal of every write, truncation and sync of files in $LAYER_ROOT/data, and of what a directory held when it was synced, so that the harness
 *    can rebuild what a disk may hold after a loss of power: what was synced, and any part of the rest;
 *  - fills the disk, and moves the clock, when the harness says so in the file $LAYER_CONTROL.
 *
 * Syncs are caught by a seccomp filter, because arkloop makes some of them without the C library. They are recorded and not done: the harness needs no disk
 * to be waited for. With $LAYER_LIES they are not even recorded, which is a disk that lies.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define ARGUMENT(context) ((int)(context)->uc_mcontext.gregs[REG_RDI])
#define RESULT(context) (context)->uc_mcontext.gregs[REG_RAX]
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#define ARGUMENT(context) ((int)(context)->uc_mcontext.regs[0])
#define RESULT(context) (context)->uc_mcontext.regs[0]
#else
#error "the layer knows x86-64 and AArch64"
#endif

enum kind { WRITE = 1, TRUNCATE = 2, SYNC = 3, SYNC_DIRECTORY = 4 };

/* A record: this, then the path, then the data. */
struct head {
    uint32_t kind, path_length;
    uint64_t inode, born_at;
    uint64_t offset, data_length;
};

struct control {
    volatile int32_t is_full, unused;
    volatile int64_t clock_ms;
};

static char root[4096];
static size_t root_length;
static int journal = -1;
static int lies;
static struct control *control;
/* The order of the journal is that of the calls. */
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

static void die(const char *text) {
    if (syscall(SYS_write, 2, text, strlen(text))) {}
    _exit(97);
}

/* The path of a file of the data directory, or the directory that holds it; its length, or 0 for all others. */
static size_t watched_path(int fd, char path[4096]) {
    char name[32] = "/proc/self/fd/", digits[12];
    size_t count = 0, at = 14;
    ssize_t length;
    if (fd < 0 || root_length == 0) return 0;
    do digits[count++] = (char)('0' + fd % 10); while ((fd /= 10) != 0);
    while (count != 0) name[at++] = digits[--count];
    length = readlink(name, path, 4095);
    if (length < (ssize_t)root_length || memcmp(path, root, root_length) != 0) return 0;
    path[length] = 0;
    if (path[root_length] != 0 && strncmp(path + root_length, "/data", 5) != 0) return 0;
    return (size_t)length;
}

/* Fills in which file it is; 0 unless it is watched and of that type. */
static int identify(int fd, struct head *head, char path[4096], unsigned wanted) {
    struct statx found;
    if (journal < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &found) != 0) return 0;
    if ((found.stx_mode & S_IFMT) != wanted) return 0;
    head->path_length = (uint32_t)watched_path(fd, path);
    head->inode = found.stx_ino;
    head->born_at = (uint64_t)found.stx_btime.tv_sec * 1000000000u + found.stx_btime.tv_nsec;
    return head->path_length != 0;
}

static void record(struct head *head, const char *path, const void *data, size_t length) {
    struct iovec parts[3] = {{head, sizeof *head}, {(void *)path, head->path_length}, {(void *)data, length}};
    head->data_length = length;
    if (syscall(SYS_writev, journal, parts, 3) != (long)(sizeof *head + head->path_length + length))
        die("layer: the journal cannot be written\n");
}

/* One line for each entry: inode, birth, name. */
static void record_directory(int fd, struct head *head, const char *path) {
    static char listing[1 << 20];
    char entries[8192];
    size_t length = 0;
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long got;
    if (copy < 0) return;
    while ((got = syscall(SYS_getdents64, copy, entries, sizeof entries)) > 0) {
        for (long at = 0; at < got;) {
            uint64_t inode;
            uint16_t size;
            const char *name = entries + at + 19;
            struct statx found;
            memcpy(&inode, entries + at, 8);
            memcpy(&size, entries + at + 16, 2);
            at += size;
            if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
            if (statx(copy, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &found) != 0) continue;
            if (length + 24 + strlen(name) > sizeof listing) die("layer: a directory is too large\n");
            inode = found.stx_ino;
            memcpy(listing + length, &inode, 8);
            inode = (uint64_t)found.stx_btime.tv_sec * 1000000000u + found.stx_btime.tv_nsec;
            memcpy(listing + length + 8, &inode, 8);
            strcpy(listing + length + 16, name);
            length += 17 + strlen(name);
        }
    }
    close(copy);
    record(head, path, listing, length);
}

static void synced(int fd) {
    struct head head = {0};
    char path[4096];
    if (lies) return;
    pthread_mutex_lock(&order);
    if (identify(fd, &head, path, S_IFREG)) {
        head.kind = SYNC;
        record(&head, path, "", 0);
    } else if (identify(fd, &head, path, S_IFDIR)) {
        head.kind = SYNC_DIRECTORY;
        record_directory(fd, &head, path);
    }
    pthread_mutex_unlock(&order);
}

static void on_sync(int signal, siginfo_t *info, void *context) {
    int before = errno;
    (void)signal, (void)info;
    synced(ARGUMENT((ucontext_t *)context));
    RESULT((ucontext_t *)context) = 0;
    errno = before;
}

static void catch_syncs(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsync, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fdatasync, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    struct sigaction action = {0};
    action.sa_sigaction = on_sync;
    action.sa_flags = SA_SIGINFO;
    if (sigaction(SIGSYS, &action, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        die("layer: syncs cannot be caught (seccomp)\n");
}

__attribute__((constructor)) static void begin(void) {
    const char *place = getenv("LAYER_ROOT"), *steering = getenv("LAYER_CONTROL"), *path = getenv("LAYER_JOURNAL");
    if (place == NULL) return;
    root_length = strlen(place);
    memcpy(root, place, root_length + 1);
    lies = getenv("LAYER_LIES") != NULL;
    if (steering != NULL) {
        int fd = open(steering, O_RDWR | O_CLOEXEC);
        control = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ, MAP_SHARED, fd, 0);
        if (control == MAP_FAILED) die("layer: no control file\n");
        close(fd);
    }
    if (path != NULL) {
        journal = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (journal < 0) die("layer: no journal\n");
        catch_syncs();
    }
}

/* On a full disk only what a file has already can be written again. */
static int is_refused(int fd, off_t end) {
    struct stat found;
    char path[4096];
    if (control == NULL || !control->is_full || fstat(fd, &found) != 0 || !S_ISREG(found.st_mode)) return 0;
    if (watched_path(fd, path) == 0 || end <= found.st_size) return 0;
    errno = ENOSPC;
    return 1;
}

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) die("layer: a function is missing\n");
    return found;
}

static void written(struct head *head, const char *path, const struct iovec *parts, int count, ssize_t done) {
    int before = errno;
    for (int part = 0; part < count && done > 0; part++) {
        size_t length = parts[part].iov_len < (size_t)done ? parts[part].iov_len : (size_t)done;
        head->kind = WRITE;
        record(head, path, parts[part].iov_base, length);
        head->offset += length;
        done -= (ssize_t)length;
    }
    errno = before;
}

static ssize_t write_at(int fd, const struct iovec *parts, int count, off_t offset) {
    struct head head = {0};
    char path[4096];
    size_t total = 0;
    ssize_t done;
    off_t from;
    for (int part = 0; part < count; part++) total += parts[part].iov_len;
    from = offset >= 0 ? offset : lseek(fd, 0, SEEK_CUR);
    if (from >= 0 && is_refused(fd, from + (off_t)total)) return -1;
    if (from < 0 || !identify(fd, &head, path, S_IFREG))
        return offset >= 0 ? syscall(SYS_pwritev, fd, parts, count, offset, 0) : syscall(SYS_writev, fd, parts, count);
    pthread_mutex_lock(&order);
    if (offset >= 0) {
        done = syscall(SYS_pwritev, fd, parts, count, offset, 0);
        head.offset = (uint64_t)offset;
    } else {
        done = syscall(SYS_writev, fd, parts, count);
        head.offset = (uint64_t)(lseek(fd, 0, SEEK_CUR) - (done > 0 ? done : 0));
    }
    written(&head, path, parts, count, done);
    pthread_mutex_unlock(&order);
    return done;
}

ssize_t write(int fd, const void *data, size_t length) {
    struct iovec part = {(void *)data, length};
    return write_at(fd, &part, 1, -1);
}

ssize_t writev(int fd, const struct iovec *parts, int count) { return write_at(fd, parts, count, -1); }

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
    struct iovec part = {(void *)data, length};
    return write_at(fd, &part, 1, offset);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) { return write_at(fd, parts, count, offset); }

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) { return write_at(fd, parts, count, offset); }

int ftruncate64(int fd, off64_t size) {
    struct head head = {0};
    char path[4096];
    int result;
    if (is_refused(fd, size)) return -1;
    if (!identify(fd, &head, path, S_IFREG)) return (int)syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&order);
    result = (int)syscall(SYS_ftruncate, fd, size);
    if (result == 0) {
        head.kind = TRUNCATE;
        head.offset = (uint64_t)size;
        record(&head, path, "", 0);
    }
    pthread_mutex_unlock(&order);
    return result;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

/* These would pass the journal by; their callers do without. */
int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
    (void)fd, (void)mode, (void)offset, (void)length;
    errno = EOPNOTSUPP;
    return -1;
}

int fallocate(int fd, int mode, off_t offset, off_t length) { return fallocate64(fd, mode, offset, length); }

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t length, unsigned flags) {
    (void)in, (void)from, (void)out, (void)to, (void)length, (void)flags;
    errno = ENOSYS;
    return -1;
}

ssize_t sendfile64(int out, int in, off64_t *offset, size_t length) {
    (void)out, (void)in, (void)offset, (void)length;
    errno = ENOSYS;
    return -1;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    int result;
    if (real == NULL) real = next("clock_gettime");
    result = real(clock, now);
    if (result == 0 && clock == CLOCK_REALTIME && control != NULL && control->clock_ms != 0) {
        int64_t nanos = now->tv_nsec + (control->clock_ms % 1000) * 1000000;
        now->tv_sec += control->clock_ms / 1000 + (nanos < 0 ? -1 : nanos / 1000000000);
        now->tv_nsec = nanos < 0 ? nanos + 1000000000 : nanos % 1000000000;
    }
    return result;
}
