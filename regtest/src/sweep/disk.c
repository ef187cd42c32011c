/*
 * A disk that can fail, for crash tests: loaded into an engine with LD_PRELOAD, it stands between the engine's database and the
 * system.
 *
 * - Whatever is synced is copied to a second folder. What that folder holds is what a power cut would have left.
 * - From its so manieth write on the disk takes nothing for a while and answers with an error number.
 *
 * TWINSWAP_DISK_FILES   the files that lie on it: those whose path begins so
 * TWINSWAP_DISK_SYNCED  the folder for what is synced
 * TWINSWAP_DISK_FAILS   "write:errno:milliseconds", or nothing
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { PATH = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long writes;
static long failing_until; /* milliseconds; 0 before the first failure */

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* The file's name behind the prefix of the files on this disk, or NULL. */
static const char *on_disk(int file, char path[PATH]) {
    const char *prefix = getenv("TWINSWAP_DISK_FILES");
    if (!prefix) return NULL;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH - 1);
    if (length <= 0) return NULL;
    path[length] = 0;
    if (strncmp(path, prefix, strlen(prefix)) != 0 || strstr(path, "-shm")) return NULL;
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Says that it has failed, and at which write. */
static void note_failure(void) {
    char path[PATH];
    snprintf(path, sizeof path, "%s/failed", getenv("TWINSWAP_DISK_SYNCED"));
    FILE *file = fopen(path, "w");
    if (file) {
        fprintf(file, "%ld\n", writes);
        fclose(file);
    }
}

/* Counts a write; an error number if it must not succeed. */
static int failure(int file) {
    char path[PATH];
    int saved = errno, error = 0, number = 0;
    long at = 0, lasts = 0;
    if (!on_disk(file, path)) {
        errno = saved;
        return 0;
    }
    pthread_mutex_lock(&lock);
    writes++;
    const char *plan = getenv("TWINSWAP_DISK_FAILS");
    if (plan && sscanf(plan, "%ld:%d:%ld", &at, &number, &lasts) == 3 && writes >= at) {
        if (failing_until == 0) {
            failing_until = now() + lasts;
            note_failure();
        }
        if (now() < failing_until) error = number;
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return error;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL_IF_DUE(file)                                                                                                             \
    do {                                                                                                                             \
        int error = failure(file);                                                                                                   \
        if (error) {                                                                                                                 \
            errno = error;                                                                                                           \
            return -1;                                                                                                               \
        }                                                                                                                            \
    } while (0)

ssize_t write(int file, const void *bytes, size_t count) {
    FAIL_IF_DUE(file);
    return syscall(SYS_write, file, bytes, count);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
    FAIL_IF_DUE(file);
    return REAL(pwrite)(file, bytes, count, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    FAIL_IF_DUE(file);
    return REAL(pwrite64)(file, bytes, count, at);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    FAIL_IF_DUE(file);
    return REAL(writev)(file, parts, count);
}

int ftruncate(int file, off_t length) {
    FAIL_IF_DUE(file);
    return REAL(ftruncate)(file, length);
}

int ftruncate64(int file, off64_t length) {
    FAIL_IF_DUE(file);
    return REAL(ftruncate64)(file, length);
}

/* The whole file as it is now: complete under its name, or not there. */
static void keep(int file) {
    char path[PATH], copy[PATH], fresh[PATH + 8], buffer[65536];
    int saved = errno;
    const char *folder = getenv("TWINSWAP_DISK_SYNCED"), *name = on_disk(file, path);
    struct stat kind;
    if (!name || !folder || fstat(file, &kind) != 0 || !S_ISREG(kind.st_mode)) {
        errno = saved;
        return;
    }
    pthread_mutex_lock(&lock);
    snprintf(copy, sizeof copy, "%s/%s", folder, name);
    snprintf(fresh, sizeof fresh, "%s.new", copy);
    int from = open(path, O_RDONLY | O_CLOEXEC), to = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t count = 0;
    while (from >= 0 && to >= 0 && (count = read(from, buffer, sizeof buffer)) > 0) {
        if (syscall(SYS_write, to, buffer, (size_t)count) != count) abort();
    }
    if (from < 0 || to < 0 || count < 0 || rename(fresh, copy) != 0) abort();
    close(from);
    close(to);
    pthread_mutex_unlock(&lock);
    errno = saved;
}

int fsync(int file) {
    FAIL_IF_DUE(file);
    int done = REAL(fsync)(file);
    if (done == 0) keep(file);
    return done;
}

int fdatasync(int file) {
    FAIL_IF_DUE(file);
    int done = REAL(fdatasync)(file);
    if (done == 0) keep(file);
    return done;
}
