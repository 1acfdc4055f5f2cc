/* Preloaded into a worker: each write and sync of a file under SLOW_DISK takes SLOW_DISK_MICROSECONDS longer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void wait_for_disk(int file) {
    const char *folder = getenv("SLOW_DISK"), *micros = getenv("SLOW_DISK_MICROSECONDS");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0 || folder == NULL || micros == NULL) return;
    path[size] = 0;
    if (strncmp(path, folder, strlen(folder)) == 0) usleep((useconds_t)atoi(micros));
}

ssize_t write(int file, const void *data, size_t size) {
    ssize_t (*next)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
    wait_for_disk(file);
    return next(file, data, size);
}

int fsync(int file) {
    int (*next)(int) = dlsym(RTLD_NEXT, "fsync");
    wait_for_disk(file);
    return next(file);
}

int fdatasync(int file) {
    int (*next)(int) = dlsym(RTLD_NEXT, "fdatasync");
    wait_for_disk(file);
    return next(file);
}
