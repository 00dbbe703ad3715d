/* A machine whose clock is wrong: moves the wall clock by CLOCK_OFFSET seconds. Preloaded in processes of tests. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, id, now);
    const char *offset = getenv("CLOCK_OFFSET");
    if (id == CLOCK_REALTIME && offset) now->tv_sec += atol(offset);
    return result;
}
