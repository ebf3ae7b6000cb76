/* Runs a program and records, in order, what it and its children do to files in a directory, and what they send:
 *
 *     record LOG DIRECTORY PROGRAM ARGUMENT...
 *
 * System calls are watched rather than functions of libc, since some of Roomcast's libraries do not go through libc.
 * When a call begins, a line says what it is; the bytes that it writes follow. When it has ended, a line says so. Both
 * are in the log before the program goes on, so the order of the lines is the order of what happened:
 *
 *     >  thread  name  inode  offset  length  path  path      and `length` bytes
 *     <  thread  result  inode
 *     !  exit status of the program
 *
 * SIGTERM is passed on to the program. The exit status is the program's; 125 when it cannot be watched.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Not in <linux/ptrace.h>; <sys/ptrace.h> and <linux/ptrace.h> cannot be included together. */
extern long ptrace(int request, ...);

#define CANNOT_WATCH 125

static const int watched[] = {
#ifdef SYS_open
    SYS_open, SYS_creat, SYS_rename, SYS_link, SYS_unlink, SYS_mkdir, SYS_rmdir,
#endif
    SYS_openat, SYS_write, SYS_writev, SYS_pwrite64, SYS_pwritev, SYS_sendto, SYS_ftruncate, SYS_fsync, SYS_fdatasync,
#ifdef SYS_renameat
    SYS_renameat,
#endif
    SYS_renameat2, SYS_linkat, SYS_unlinkat, SYS_mkdirat,
};
#define WATCHED (sizeof watched / sizeof *watched)

static int log_file;
static const char *directory;
static pid_t program;

/* What a call is about. */
struct call {
    const char *name;
    uint64_t inode, offset;
    char *bytes;
    size_t length;
    char path[PATH_MAX], path2[PATH_MAX];
};

/* Calls under way of which the end is recorded: at most one a thread. */
static struct pending {
    pid_t thread;
    int opens;
    char path[PATH_MAX];
} pending[512];

static void fail(const char *what) {
    perror(what);
    exit(CANNOT_WATCH);
}

static void put(const char *line, size_t line_length, const char *bytes, size_t length) {
    struct iovec parts[] = {{(void *)line, line_length}, {(void *)bytes, length}};
    if (writev(log_file, parts, 2) != (ssize_t)(line_length + length)) fail("cannot write the log");
}

static size_t memory(pid_t thread, uint64_t address, void *to, size_t length) {
    struct iovec here = {to, length}, there = {(void *)(uintptr_t)address, length};
    ssize_t read = process_vm_readv(thread, &here, 1, &there, 1, 0);
    return read < 0 ? 0 : (size_t)read;
}

/* A text of the program, read up to the end of one page after the other: the next may not be there. */
static void text(pid_t thread, uint64_t address, char *to, size_t size) {
    size_t length = 0;
    while (length < size - 1) {
        size_t part = 4096 - (address + length) % 4096;
        if (part > size - 1 - length) part = size - 1 - length;
        size_t read = memory(thread, address + length, to + length, part);
        if (memchr(to + length, 0, read)) return;
        length += read;
        if (read < part) break;
    }
    to[length] = 0;
}

/* Where a link of /proc leads to; empty when there is none. */
static void follow(pid_t thread, const char *kind, int fd, char *to) {
    char link[64];
    if (fd < 0)
        snprintf(link, sizeof link, "/proc/%d/%s", thread, kind);
    else
        snprintf(link, sizeof link, "/proc/%d/%s/%d", thread, kind, fd);
    ssize_t length = readlink(link, to, PATH_MAX - 1);
    to[length < 0 ? 0 : length] = 0;
}

/* The path that a call means. */
static void resolve(pid_t thread, int at, uint64_t address, char *to) {
    char name[PATH_MAX], base[PATH_MAX];
    text(thread, address, name, sizeof name);
    if (*name == '/') {
        strcpy(to, name);
        return;
    }
    if (at == AT_FDCWD)
        follow(thread, "cwd", -1, base);
    else
        follow(thread, "fd", at, base);
    if (snprintf(to, PATH_MAX, "%s/%s", base, name) >= PATH_MAX) *to = 0;
}

static int inside(const char *path) {
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static uint64_t inode(const char *path) {
    struct stat found;
    return stat(path, &found) == 0 ? found.st_ino : 0;
}

/* Takes a call that is about an open file; says whether it is one that is recorded. */
static int of_file(struct call *call, pid_t thread, int fd) {
    follow(thread, "fd", fd, call->path);
    if (!inside(call->path)) return 0;
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/fd/%d", thread, fd);
    call->inode = inode(link);
    return 1;
}

/* Where a write begins that does not say so. */
static uint64_t position(pid_t thread, int fd) {
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/fdinfo/%d", thread, fd);
    FILE *file = fopen(name, "r");
    unsigned long long at = 0;
    unsigned flags = 0;
    if (!file || fscanf(file, "pos: %llu flags: %o", &at, &flags) != 2) fail(name);
    fclose(file);
    if (flags & O_APPEND) {
        struct stat found;
        snprintf(name, sizeof name, "/proc/%d/fd/%d", thread, fd);
        if (stat(name, &found) != 0) fail(name);
        at = found.st_size;
    }
    return at;
}

/* Takes the bytes that a call writes: one buffer, or several where `count` is not negative. */
static void bytes(struct call *call, pid_t thread, uint64_t address, uint64_t length, int count) {
    struct iovec one = {(void *)(uintptr_t)address, length}, several[64], *parts = &one;
    if (count >= 0) {
        if (count > 64) count = 64;
        parts = several;
        memory(thread, address, several, count * sizeof *several);
    } else {
        count = 1;
    }
    for (int part = 0; part < count; part++) call->length += parts[part].iov_len;
    char *to = call->bytes = malloc(call->length + 1);
    if (!to) fail("memory");
    for (int part = 0; part < count; part++)
        to += memory(thread, (uintptr_t)parts[part].iov_base, to, parts[part].iov_len);
    call->length = to - call->bytes;
}

/* A write to a file of the directory, or something sent. */
static int writing(struct call *call, pid_t thread, uint64_t *a, int is_vector, int has_offset) {
    int fd = a[0];
    if (of_file(call, thread, fd)) {
        call->name = "write";
        call->offset = has_offset ? a[3] : position(thread, fd);
    } else if (strncmp(call->path, "socket:", 7) == 0) {
        call->name = "send";
        *call->path = 0;
    } else {
        return 0;
    }
    bytes(call, thread, a[1], a[2], is_vector ? (int)a[2] : -1);
    return 1;
}

static int opening(struct call *call, pid_t thread, int at, uint64_t path, int flags) {
    /* Others change nothing. A file without a name (O_TMPFILE) is gone after a power loss. */
    if (!(flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE) return 0;
    call->name = flags & O_TRUNC ? "open-truncate" : "open";
    resolve(thread, at, path, call->path);
    return inside(call->path);
}

static int naming(struct call *call, pid_t thread, const char *name, int at, uint64_t path) {
    call->name = name;
    resolve(thread, at, path, call->path);
    return inside(call->path);
}

static int naming2(struct call *call, pid_t thread, const char *name, uint64_t *a) {
    call->name = name;
    resolve(thread, (int)a[0], a[1], call->path);
    resolve(thread, (int)a[2], a[3], call->path2);
    return inside(call->path) || inside(call->path2);
}

/* Takes a call that begins; says whether it is one that is recorded. */
static int take(struct call *call, pid_t thread, long number, uint64_t *a) {
    uint64_t here[] = {(uint64_t)AT_FDCWD, a[0], (uint64_t)AT_FDCWD, a[1]};
    switch (number) {
#ifdef SYS_open
    case SYS_open: return opening(call, thread, AT_FDCWD, a[0], a[1]);
    case SYS_creat: return opening(call, thread, AT_FDCWD, a[0], O_CREAT | O_TRUNC);
    case SYS_rename: return naming2(call, thread, "rename", here);
    case SYS_link: return naming2(call, thread, "link", here);
    case SYS_unlink: return naming(call, thread, "unlink", AT_FDCWD, a[0]);
    case SYS_rmdir: return naming(call, thread, "rmdir", AT_FDCWD, a[0]);
    case SYS_mkdir: return naming(call, thread, "mkdir", AT_FDCWD, a[0]);
#endif
    case SYS_openat: return opening(call, thread, a[0], a[1], a[2]);
#ifdef SYS_renameat
    case SYS_renameat: return naming2(call, thread, "rename", a);
#endif
    case SYS_renameat2: return naming2(call, thread, "rename", a);
    case SYS_linkat: return naming2(call, thread, "link", a);
    case SYS_unlinkat: return naming(call, thread, a[2] & AT_REMOVEDIR ? "rmdir" : "unlink", a[0], a[1]);
    case SYS_mkdirat: return naming(call, thread, "mkdir", a[0], a[1]);
    case SYS_write:
    case SYS_sendto: return writing(call, thread, a, 0, 0);
    case SYS_writev: return writing(call, thread, a, 1, 0);
    case SYS_pwrite64: return writing(call, thread, a, 0, 1);
    case SYS_pwritev: return writing(call, thread, a, 1, 1);
    case SYS_ftruncate:
        call->name = "truncate";
        call->offset = a[1];
        return of_file(call, thread, a[0]);
    case SYS_fsync:
    case SYS_fdatasync: call->name = "sync"; return of_file(call, thread, a[0]);
    }
    return 0;
}

static struct pending *place(pid_t thread) {
    for (size_t at = 0; at < sizeof pending / sizeof *pending; at++)
        if (pending[at].thread == thread) return &pending[at];
    return NULL;
}

/* Records a call that begins; says whether its end is to be recorded. */
static int begin(pid_t thread, long number, uint64_t *arguments) {
    static struct call call;
    char line[2 * PATH_MAX + 200];
    memset(&call, 0, offsetof(struct call, path));
    *call.path = *call.path2 = 0;
    int taken = take(&call, thread, number, arguments);
    if (taken) {
        int length = snprintf(line, sizeof line, ">\t%d\t%s\t%llu\t%llu\t%zu\t%s\t%s\n", thread, call.name,
                              (unsigned long long)call.inode, (unsigned long long)call.offset, call.length, call.path,
                              call.path2);
        put(line, length, call.bytes, call.length);
        struct pending *free_place = place(0);
        if (!free_place) fail("too many threads");
        free_place->thread = thread;
        free_place->opens = strncmp(call.name, "open", 4) == 0;
        strcpy(free_place->path, strcmp(call.name, "mkdir") == 0 ? call.path : "");
    }
    free(call.bytes);
    return taken;
}

static void end(pid_t thread, long long result) {
    struct pending *was = place(thread);
    if (!was) return;
    char line[100];
    uint64_t found = 0;
    if (was->opens && result >= 0) {
        snprintf(line, sizeof line, "/proc/%d/fd/%lld", thread, result);
        found = inode(line);
    } else if (*was->path) {
        found = inode(was->path);
    }
    was->thread = 0;
    int length = snprintf(line, sizeof line, "<\t%d\t%lld\t%llu\n", thread, result, (unsigned long long)found);
    put(line, length, NULL, 0);
}

static void pass_on(int number) {
    kill(program, number);
}

/* Stops at the watched calls, and at no others, which go on as fast as ever. */
static void filter(void) {
    struct sock_filter code[2 * WATCHED + 2];
    size_t length = 0;
    code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t at = 0; at < WATCHED; at++) {
        code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, watched[at], 0, 1);
        code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    }
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog all = {length, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all)) fail("seccomp");
}

int main(int count, char **arguments) {
    int go[2], status, code = CANNOT_WATCH;
    pid_t thread;
    if (count < 4) return CANNOT_WATCH;
    log_file = open(arguments[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    directory = arguments[2];
    if (log_file < 0 || pipe2(go, O_CLOEXEC) || (program = fork()) < 0) fail("cannot begin");
    if (program == 0) {
        char byte;
        close(go[1]);
        if (read(go[0], &byte, 1) != 1) _exit(CANNOT_WATCH);
        filter();
        execvp(arguments[3], arguments + 3);
        fail(arguments[3]);
    }
    signal(SIGTERM, pass_on);
    long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SEIZE, program, 0, options)) fail("ptrace");
    if (write(go[1], "", 1) != 1) fail("cannot begin");
    while ((thread = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
        if (thread <= 0) continue;
        if (!WIFSTOPPED(status)) {
            struct pending *was = place(thread);
            if (was) was->thread = 0;
            if (thread == program) code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        struct ptrace_syscall_info info = {0};
        int request = PTRACE_CONT, number = WSTOPSIG(status), event = status >> 16;
        if (event == PTRACE_EVENT_SECCOMP || number == (SIGTRAP | 0x80)) {
            if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) < 0) info.op = PTRACE_SYSCALL_INFO_NONE;
            if (info.op == PTRACE_SYSCALL_INFO_SECCOMP) {
                uint64_t values[6];
                memcpy(values, info.seccomp.args, sizeof values);
                if (begin(thread, info.seccomp.nr, values)) request = PTRACE_SYSCALL;
            } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
                end(thread, info.exit.rval);
            }
            number = 0;
        } else if (event) {
            number = 0;
        }
        ptrace(request, thread, 0, number);
    }
    char line[20];
    put(line, snprintf(line, sizeof line, "!\t%d\n", code), NULL, 0);
    return code;
}
