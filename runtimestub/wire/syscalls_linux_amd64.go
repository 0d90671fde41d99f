package wire

// The system calls of linux/amd64, by number: man 2 syscalls and
// arch/x86/entry/syscalls/syscall_64.tbl of Linux. A call that is named but
// has class Unknown is known and not carried; docs/compatibility.md says why.

// Numbers of system calls.
const (
	SYS_PERF_EVENT_OPEN         = 298
	SYS_BPF                     = 321
	SYS_IO_SETUP                = 206
	SYS_IO_DESTROY              = 207
	SYS_IO_GETEVENTS            = 208
	SYS_IO_SUBMIT               = 209
	SYS_IO_CANCEL               = 210
	SYS_SHMAT                   = 30
	SYS_SHMCTL                  = 31
	SYS_SEMGET                  = 64
	SYS_SEMOP                   = 65
	SYS_SEMCTL                  = 66
	SYS_SHMDT                   = 67
	SYS_MSGGET                  = 68
	SYS_MSGSND                  = 69
	SYS_MSGRCV                  = 70
	SYS_MSGCTL                  = 71
	SYS_MQ_OPEN                 = 240
	SYS_MQ_UNLINK               = 241
	SYS_MQ_TIMEDSEND            = 242
	SYS_MQ_TIMEDRECEIVE         = 243
	SYS_MQ_NOTIFY               = 244
	SYS_MQ_GETSETATTR           = 245
	SYS_KEXEC_LOAD              = 246
	SYS_REMAP_FILE_PAGES        = 216
	SYS_MBIND                   = 237
	SYS_SET_MEMPOLICY           = 238
	SYS_GET_MEMPOLICY           = 239
	SYS_MIGRATE_PAGES           = 256
	SYS_MOVE_PAGES              = 279
	SYS_MODIFY_LDT              = 154
	SYS_LOOKUP_DCOOKIE          = 212
	SYS_READ                    = 0
	SYS_WRITE                   = 1
	SYS_OPEN                    = 2
	SYS_CLOSE                   = 3
	SYS_STAT                    = 4
	SYS_FSTAT                   = 5
	SYS_LSTAT                   = 6
	SYS_POLL                    = 7
	SYS_LSEEK                   = 8
	SYS_MMAP                    = 9
	SYS_MPROTECT                = 10
	SYS_MUNMAP                  = 11
	SYS_BRK                     = 12
	SYS_RT_SIGACTION            = 13
	SYS_RT_SIGPROCMASK          = 14
	SYS_IOCTL                   = 16
	SYS_PREAD64                 = 17
	SYS_PWRITE64                = 18
	SYS_READV                   = 19
	SYS_WRITEV                  = 20
	SYS_ACCESS                  = 21
	SYS_PIPE                    = 22
	SYS_SELECT                  = 23
	SYS_SCHED_YIELD             = 24
	SYS_MREMAP                  = 25
	SYS_MSYNC                   = 26
	SYS_MINCORE                 = 27
	SYS_MADVISE                 = 28
	SYS_SHMGET                  = 29
	SYS_DUP                     = 32
	SYS_DUP2                    = 33
	SYS_PAUSE                   = 34
	SYS_NANOSLEEP               = 35
	SYS_GETITIMER               = 36
	SYS_ALARM                   = 37
	SYS_SETITIMER               = 38
	SYS_GETPID                  = 39
	SYS_SENDFILE                = 40
	SYS_SOCKET                  = 41
	SYS_CONNECT                 = 42
	SYS_ACCEPT                  = 43
	SYS_SENDTO                  = 44
	SYS_RECVFROM                = 45
	SYS_SENDMSG                 = 46
	SYS_RECVMSG                 = 47
	SYS_SHUTDOWN                = 48
	SYS_BIND                    = 49
	SYS_LISTEN                  = 50
	SYS_GETSOCKNAME             = 51
	SYS_GETPEERNAME             = 52
	SYS_SOCKETPAIR              = 53
	SYS_SETSOCKOPT              = 54
	SYS_GETSOCKOPT              = 55
	SYS_CLONE                   = 56
	SYS_FORK                    = 57
	SYS_VFORK                   = 58
	SYS_EXECVE                  = 59
	SYS_EXIT                    = 60
	SYS_WAIT4                   = 61
	SYS_KILL                    = 62
	SYS_UNAME                   = 63
	SYS_FCNTL                   = 72
	SYS_FLOCK                   = 73
	SYS_FSYNC                   = 74
	SYS_FDATASYNC               = 75
	SYS_TRUNCATE                = 76
	SYS_FTRUNCATE               = 77
	SYS_GETDENTS                = 78
	SYS_GETCWD                  = 79
	SYS_CHDIR                   = 80
	SYS_FCHDIR                  = 81
	SYS_RENAME                  = 82
	SYS_MKDIR                   = 83
	SYS_RMDIR                   = 84
	SYS_CREAT                   = 85
	SYS_LINK                    = 86
	SYS_UNLINK                  = 87
	SYS_SYMLINK                 = 88
	SYS_READLINK                = 89
	SYS_CHMOD                   = 90
	SYS_FCHMOD                  = 91
	SYS_CHOWN                   = 92
	SYS_FCHOWN                  = 93
	SYS_LCHOWN                  = 94
	SYS_UMASK                   = 95
	SYS_GETTIMEOFDAY            = 96
	SYS_GETRLIMIT               = 97
	SYS_GETRUSAGE               = 98
	SYS_SYSINFO                 = 99
	SYS_TIMES                   = 100
	SYS_PTRACE                  = 101
	SYS_GETUID                  = 102
	SYS_SYSLOG                  = 103
	SYS_GETGID                  = 104
	SYS_SETUID                  = 105
	SYS_SETGID                  = 106
	SYS_GETEUID                 = 107
	SYS_GETEGID                 = 108
	SYS_SETPGID                 = 109
	SYS_GETPPID                 = 110
	SYS_GETPGRP                 = 111
	SYS_SETSID                  = 112
	SYS_SETREUID                = 113
	SYS_SETREGID                = 114
	SYS_GETGROUPS               = 115
	SYS_SETGROUPS               = 116
	SYS_SETRESUID               = 117
	SYS_GETRESUID               = 118
	SYS_SETRESGID               = 119
	SYS_GETRESGID               = 120
	SYS_GETPGID                 = 121
	SYS_SETFSUID                = 122
	SYS_SETFSGID                = 123
	SYS_GETSID                  = 124
	SYS_CAPGET                  = 125
	SYS_CAPSET                  = 126
	SYS_RT_SIGPENDING           = 127
	SYS_RT_SIGTIMEDWAIT         = 128
	SYS_RT_SIGQUEUEINFO         = 129
	SYS_RT_SIGSUSPEND           = 130
	SYS_SIGALTSTACK             = 131
	SYS_UTIME                   = 132
	SYS_MKNOD                   = 133
	SYS_PERSONALITY             = 135
	SYS_STATFS                  = 137
	SYS_FSTATFS                 = 138
	SYS_GETPRIORITY             = 140
	SYS_SETPRIORITY             = 141
	SYS_SCHED_SETPARAM          = 142
	SYS_SCHED_GETPARAM          = 143
	SYS_SCHED_SETSCHEDULER      = 144
	SYS_SCHED_GETSCHEDULER      = 145
	SYS_SCHED_GET_PRIORITY_MAX  = 146
	SYS_SCHED_GET_PRIORITY_MIN  = 147
	SYS_SCHED_RR_GET_INTERVAL   = 148
	SYS_MLOCK                   = 149
	SYS_MUNLOCK                 = 150
	SYS_MLOCKALL                = 151
	SYS_MUNLOCKALL              = 152
	SYS_VHANGUP                 = 153
	SYS_PIVOT_ROOT              = 155
	SYS_PRCTL                   = 157
	SYS_ARCH_PRCTL              = 158
	SYS_ADJTIMEX                = 159
	SYS_SETRLIMIT               = 160
	SYS_CHROOT                  = 161
	SYS_SYNC                    = 162
	SYS_ACCT                    = 163
	SYS_SETTIMEOFDAY            = 164
	SYS_MOUNT                   = 165
	SYS_UMOUNT2                 = 166
	SYS_SWAPON                  = 167
	SYS_SWAPOFF                 = 168
	SYS_REBOOT                  = 169
	SYS_SETHOSTNAME             = 170
	SYS_SETDOMAINNAME           = 171
	SYS_IOPL                    = 172
	SYS_IOPERM                  = 173
	SYS_INIT_MODULE             = 175
	SYS_DELETE_MODULE           = 176
	SYS_QUOTACTL                = 179
	SYS_GETTID                  = 186
	SYS_READAHEAD               = 187
	SYS_SETXATTR                = 188
	SYS_LSETXATTR               = 189
	SYS_FSETXATTR               = 190
	SYS_GETXATTR                = 191
	SYS_LGETXATTR               = 192
	SYS_FGETXATTR               = 193
	SYS_LISTXATTR               = 194
	SYS_LLISTXATTR              = 195
	SYS_FLISTXATTR              = 196
	SYS_REMOVEXATTR             = 197
	SYS_LREMOVEXATTR            = 198
	SYS_FREMOVEXATTR            = 199
	SYS_TKILL                   = 200
	SYS_TIME                    = 201
	SYS_FUTEX                   = 202
	SYS_SCHED_SETAFFINITY       = 203
	SYS_SCHED_GETAFFINITY       = 204
	SYS_EPOLL_CREATE            = 213
	SYS_GETDENTS64              = 217
	SYS_SET_TID_ADDRESS         = 218
	SYS_RESTART_SYSCALL         = 219
	SYS_FADVISE64               = 221
	SYS_TIMER_CREATE            = 222
	SYS_TIMER_SETTIME           = 223
	SYS_TIMER_GETTIME           = 224
	SYS_TIMER_GETOVERRUN        = 225
	SYS_TIMER_DELETE            = 226
	SYS_CLOCK_SETTIME           = 227
	SYS_CLOCK_GETTIME           = 228
	SYS_CLOCK_GETRES            = 229
	SYS_CLOCK_NANOSLEEP         = 230
	SYS_EXIT_GROUP              = 231
	SYS_EPOLL_WAIT              = 232
	SYS_EPOLL_CTL               = 233
	SYS_TGKILL                  = 234
	SYS_UTIMES                  = 235
	SYS_WAITID                  = 247
	SYS_ADD_KEY                 = 248
	SYS_REQUEST_KEY             = 249
	SYS_KEYCTL                  = 250
	SYS_IOPRIO_SET              = 251
	SYS_IOPRIO_GET              = 252
	SYS_INOTIFY_INIT            = 253
	SYS_INOTIFY_ADD_WATCH       = 254
	SYS_INOTIFY_RM_WATCH        = 255
	SYS_OPENAT                  = 257
	SYS_MKDIRAT                 = 258
	SYS_MKNODAT                 = 259
	SYS_FCHOWNAT                = 260
	SYS_FUTIMESAT               = 261
	SYS_NEWFSTATAT              = 262
	SYS_UNLINKAT                = 263
	SYS_RENAMEAT                = 264
	SYS_LINKAT                  = 265
	SYS_SYMLINKAT               = 266
	SYS_READLINKAT              = 267
	SYS_FCHMODAT                = 268
	SYS_FACCESSAT               = 269
	SYS_PSELECT6                = 270
	SYS_PPOLL                   = 271
	SYS_UNSHARE                 = 272
	SYS_SET_ROBUST_LIST         = 273
	SYS_GET_ROBUST_LIST         = 274
	SYS_SPLICE                  = 275
	SYS_TEE                     = 276
	SYS_SYNC_FILE_RANGE         = 277
	SYS_VMSPLICE                = 278
	SYS_UTIMENSAT               = 280
	SYS_EPOLL_PWAIT             = 281
	SYS_SIGNALFD                = 282
	SYS_TIMERFD_CREATE          = 283
	SYS_EVENTFD                 = 284
	SYS_FALLOCATE               = 285
	SYS_TIMERFD_SETTIME         = 286
	SYS_TIMERFD_GETTIME         = 287
	SYS_ACCEPT4                 = 288
	SYS_SIGNALFD4               = 289
	SYS_EVENTFD2                = 290
	SYS_EPOLL_CREATE1           = 291
	SYS_DUP3                    = 292
	SYS_PIPE2                   = 293
	SYS_INOTIFY_INIT1           = 294
	SYS_PREADV                  = 295
	SYS_PWRITEV                 = 296
	SYS_RT_TGSIGQUEUEINFO       = 297
	SYS_RECVMMSG                = 299
	SYS_FANOTIFY_INIT           = 300
	SYS_FANOTIFY_MARK           = 301
	SYS_PRLIMIT64               = 302
	SYS_NAME_TO_HANDLE_AT       = 303
	SYS_OPEN_BY_HANDLE_AT       = 304
	SYS_CLOCK_ADJTIME           = 305
	SYS_SYNCFS                  = 306
	SYS_SENDMMSG                = 307
	SYS_SETNS                   = 308
	SYS_GETCPU                  = 309
	SYS_KCMP                    = 312
	SYS_FINIT_MODULE            = 313
	SYS_SCHED_SETATTR           = 314
	SYS_SCHED_GETATTR           = 315
	SYS_RENAMEAT2               = 316
	SYS_SECCOMP                 = 317
	SYS_GETRANDOM               = 318
	SYS_MEMFD_CREATE            = 319
	SYS_EXECVEAT                = 322
	SYS_USERFAULTFD             = 323
	SYS_MEMBARRIER              = 324
	SYS_MLOCK2                  = 325
	SYS_COPY_FILE_RANGE         = 326
	SYS_PREADV2                 = 327
	SYS_PWRITEV2                = 328
	SYS_PKEY_MPROTECT           = 329
	SYS_PKEY_ALLOC              = 330
	SYS_PKEY_FREE               = 331
	SYS_STATX                   = 332
	SYS_RSEQ                    = 334
	SYS_PIDFD_SEND_SIGNAL       = 424
	SYS_IO_URING_SETUP          = 425
	SYS_IO_URING_ENTER          = 426
	SYS_IO_URING_REGISTER       = 427
	SYS_OPEN_TREE               = 428
	SYS_MOVE_MOUNT              = 429
	SYS_FSOPEN                  = 430
	SYS_FSCONFIG                = 431
	SYS_FSMOUNT                 = 432
	SYS_FSPICK                  = 433
	SYS_PIDFD_OPEN              = 434
	SYS_CLONE3                  = 435
	SYS_CLOSE_RANGE             = 436
	SYS_OPENAT2                 = 437
	SYS_PIDFD_GETFD             = 438
	SYS_FACCESSAT2              = 439
	SYS_PROCESS_MADVISE         = 440
	SYS_EPOLL_PWAIT2            = 441
	SYS_MOUNT_SETATTR           = 442
	SYS_LANDLOCK_CREATE_RULESET = 444
	SYS_LANDLOCK_ADD_RULE       = 445
	SYS_LANDLOCK_RESTRICT_SELF  = 446
	SYS_PROCESS_MRELEASE        = 448
	SYS_FCHMODAT2               = 452
)

var shapes = [...]Shape{
	SYS_PERF_EVENT_OPEN:         {Name: "perf_event_open"},
	SYS_BPF:                     {Name: "bpf"},
	SYS_IO_SETUP:                {Name: "io_setup"},
	SYS_IO_DESTROY:              {Name: "io_destroy"},
	SYS_IO_GETEVENTS:            {Name: "io_getevents"},
	SYS_IO_SUBMIT:               {Name: "io_submit"},
	SYS_IO_CANCEL:               {Name: "io_cancel"},
	SYS_SHMAT:                   {Name: "shmat"},
	SYS_SHMCTL:                  {Name: "shmctl"},
	SYS_SEMGET:                  {Name: "semget"},
	SYS_SEMOP:                   {Name: "semop"},
	SYS_SEMCTL:                  {Name: "semctl"},
	SYS_SHMDT:                   {Name: "shmdt"},
	SYS_MSGGET:                  {Name: "msgget"},
	SYS_MSGSND:                  {Name: "msgsnd"},
	SYS_MSGRCV:                  {Name: "msgrcv"},
	SYS_MSGCTL:                  {Name: "msgctl"},
	SYS_MQ_OPEN:                 {Name: "mq_open"},
	SYS_MQ_UNLINK:               {Name: "mq_unlink"},
	SYS_MQ_TIMEDSEND:            {Name: "mq_timedsend"},
	SYS_MQ_TIMEDRECEIVE:         {Name: "mq_timedreceive"},
	SYS_MQ_NOTIFY:               {Name: "mq_notify"},
	SYS_MQ_GETSETATTR:           {Name: "mq_getsetattr"},
	SYS_KEXEC_LOAD:              {Name: "kexec_load"},
	SYS_REMAP_FILE_PAGES:        {Name: "remap_file_pages"},
	SYS_MBIND:                   {Name: "mbind"},
	SYS_SET_MEMPOLICY:           {Name: "set_mempolicy"},
	SYS_GET_MEMPOLICY:           {Name: "get_mempolicy"},
	SYS_MIGRATE_PAGES:           {Name: "migrate_pages"},
	SYS_MOVE_PAGES:              {Name: "move_pages"},
	SYS_MODIFY_LDT:              {Name: "modify_ldt"},
	SYS_LOOKUP_DCOOKIE:          {Name: "lookup_dcookie"},
	SYS_READ:                    {Name: "read", Class: Data, Result: Bytes, Args: [6]Arg{FD, Out | ref2 | 1<<sizeShift}},
	SYS_WRITE:                   {Name: "write", Class: Data, Args: [6]Arg{FD, In | ref2 | 1<<sizeShift}},
	SYS_OPEN:                    {Name: "open", Class: Forward, Result: NewFD, Args: [6]Arg{Str}},
	SYS_CLOSE:                   {Name: "close", Class: Special, Args: [6]Arg{FD}},
	SYS_STAT:                    {Name: "stat", Class: Forward, Args: [6]Arg{Str, StructOut | 144<<sizeShift}},
	SYS_FSTAT:                   {Name: "fstat", Class: Data, Args: [6]Arg{FD, StructOut | 144<<sizeShift}},
	SYS_LSTAT:                   {Name: "lstat", Class: Forward, Args: [6]Arg{Str, StructOut | 144<<sizeShift}},
	SYS_POLL:                    {Name: "poll", Class: Forward, Args: [6]Arg{InOut | ref1 | 8<<sizeShift}},
	SYS_LSEEK:                   {Name: "lseek", Class: Data, Args: [6]Arg{FD}},
	SYS_MMAP:                    {Name: "mmap", Class: Special, Args: [6]Arg{Int, Int, Int, Int, FD}},
	SYS_MPROTECT:                {Name: "mprotect", Class: Local},
	SYS_MUNMAP:                  {Name: "munmap", Class: Special},
	SYS_BRK:                     {Name: "brk", Class: Local},
	SYS_RT_SIGACTION:            {Name: "rt_sigaction", Class: Local},
	SYS_RT_SIGPROCMASK:          {Name: "rt_sigprocmask", Class: Local},
	SYS_IOCTL:                   {Name: "ioctl", Class: Forward, Args: [6]Arg{FD}},
	SYS_PREAD64:                 {Name: "pread64", Class: Data, Result: Bytes, Args: [6]Arg{FD, Out | ref2 | 1<<sizeShift}},
	SYS_PWRITE64:                {Name: "pwrite64", Class: Data, Args: [6]Arg{FD, In | ref2 | 1<<sizeShift}},
	SYS_READV:                   {Name: "readv", Class: Data, Result: Bytes, Args: [6]Arg{FD, IovOut | ref2}},
	SYS_WRITEV:                  {Name: "writev", Class: Data, Args: [6]Arg{FD, IovIn | ref2}},
	SYS_ACCESS:                  {Name: "access", Class: Forward, Args: [6]Arg{Str}},
	SYS_PIPE:                    {Name: "pipe", Class: Forward, Result: Pair, Args: [6]Arg{StructOut | 8<<sizeShift}},
	SYS_SELECT:                  {Name: "select", Class: Forward, Args: [6]Arg{Int, StructIO | 128<<sizeShift, StructIO | 128<<sizeShift, StructIO | 128<<sizeShift, StructIO | 16<<sizeShift}},
	SYS_SCHED_YIELD:             {Name: "sched_yield", Class: Local},
	SYS_MREMAP:                  {Name: "mremap", Class: Local},
	SYS_MSYNC:                   {Name: "msync", Class: Local},
	SYS_MINCORE:                 {Name: "mincore", Class: Local},
	SYS_MADVISE:                 {Name: "madvise", Class: Local},
	SYS_SHMGET:                  {Name: "shmget"},
	SYS_DUP:                     {Name: "dup", Class: Forward, Result: NewFD, Args: [6]Arg{FD}},
	SYS_DUP2:                    {Name: "dup2", Class: Special, Result: NewFD, Args: [6]Arg{FD}},
	SYS_PAUSE:                   {Name: "pause", Class: Forward},
	SYS_NANOSLEEP:               {Name: "nanosleep", Class: Local},
	SYS_GETITIMER:               {Name: "getitimer", Class: Forward, Args: [6]Arg{Int, StructOut | 32<<sizeShift}},
	SYS_ALARM:                   {Name: "alarm", Class: Forward},
	SYS_SETITIMER:               {Name: "setitimer", Class: Forward, Args: [6]Arg{Int, StructIn | 32<<sizeShift, StructOut | 32<<sizeShift}},
	SYS_GETPID:                  {Name: "getpid", Class: Forward},
	SYS_SENDFILE:                {Name: "sendfile", Class: Data, Args: [6]Arg{FD, FD, StructIO | 8<<sizeShift}},
	SYS_SOCKET:                  {Name: "socket", Class: Forward, Result: NewFD},
	SYS_CONNECT:                 {Name: "connect", Class: Forward, Args: [6]Arg{FD, In | ref2 | 1<<sizeShift}},
	SYS_ACCEPT:                  {Name: "accept", Class: Forward, Result: NewFD, Args: [6]Arg{FD, AddrOut | ref2, SockLen | ref1}},
	SYS_SENDTO:                  {Name: "sendto", Class: Data, Args: [6]Arg{FD, In | ref2 | 1<<sizeShift, Int, Int, In | ref5 | 1<<sizeShift}},
	SYS_RECVFROM:                {Name: "recvfrom", Class: Data, Result: Bytes, Args: [6]Arg{FD, Out | ref2 | 1<<sizeShift, Int, Int, AddrOut | ref5, SockLen | ref4}},
	SYS_SENDMSG:                 {Name: "sendmsg", Class: Special, Args: [6]Arg{FD}},
	SYS_RECVMSG:                 {Name: "recvmsg", Class: Special, Args: [6]Arg{FD}},
	SYS_SHUTDOWN:                {Name: "shutdown", Class: Data, Args: [6]Arg{FD}},
	SYS_BIND:                    {Name: "bind", Class: Forward, Args: [6]Arg{FD, In | ref2 | 1<<sizeShift}},
	SYS_LISTEN:                  {Name: "listen", Class: Forward, Args: [6]Arg{FD}},
	SYS_GETSOCKNAME:             {Name: "getsockname", Class: Data, Args: [6]Arg{FD, AddrOut | ref2, SockLen | ref1}},
	SYS_GETPEERNAME:             {Name: "getpeername", Class: Data, Args: [6]Arg{FD, AddrOut | ref2, SockLen | ref1}},
	SYS_SOCKETPAIR:              {Name: "socketpair", Class: Forward, Result: Pair, Args: [6]Arg{Int, Int, Int, StructOut | 8<<sizeShift}},
	SYS_SETSOCKOPT:              {Name: "setsockopt", Class: Data, Args: [6]Arg{FD, Int, Int, In | ref4 | 1<<sizeShift}},
	SYS_GETSOCKOPT:              {Name: "getsockopt", Class: Data, Args: [6]Arg{FD, Int, Int, AddrOut | ref4, SockLen | ref3}},
	SYS_CLONE:                   {Name: "clone"},
	SYS_FORK:                    {Name: "fork"},
	SYS_VFORK:                   {Name: "vfork"},
	SYS_EXECVE:                  {Name: "execve", Class: Forward, Args: [6]Arg{Str, StrVec, StrVec}},
	SYS_EXIT:                    {Name: "exit", Class: Local},
	SYS_WAIT4:                   {Name: "wait4", Class: Forward, Args: [6]Arg{Int, StructOut | 4<<sizeShift, Int, StructOut | 144<<sizeShift}},
	SYS_KILL:                    {Name: "kill", Class: Forward},
	SYS_UNAME:                   {Name: "uname", Class: Forward, Args: [6]Arg{StructOut | 390<<sizeShift}},
	SYS_FCNTL:                   {Name: "fcntl", Class: Data, Args: [6]Arg{FD}},
	SYS_FLOCK:                   {Name: "flock", Class: Forward, Args: [6]Arg{FD}},
	SYS_FSYNC:                   {Name: "fsync", Class: Data, Args: [6]Arg{FD}},
	SYS_FDATASYNC:               {Name: "fdatasync", Class: Data, Args: [6]Arg{FD}},
	SYS_TRUNCATE:                {Name: "truncate", Class: Forward, Args: [6]Arg{Str}},
	SYS_FTRUNCATE:               {Name: "ftruncate", Class: Data, Args: [6]Arg{FD}},
	SYS_GETDENTS:                {Name: "getdents", Class: Forward, Result: Bytes, Args: [6]Arg{FD, Out | ref2 | 1<<sizeShift}},
	SYS_GETCWD:                  {Name: "getcwd", Class: Forward, Result: Bytes, Args: [6]Arg{Out | ref1 | 1<<sizeShift}},
	SYS_CHDIR:                   {Name: "chdir", Class: Forward, Args: [6]Arg{Str}},
	SYS_FCHDIR:                  {Name: "fchdir", Class: Forward, Args: [6]Arg{FD}},
	SYS_RENAME:                  {Name: "rename", Class: Forward, Args: [6]Arg{Str, Str}},
	SYS_MKDIR:                   {Name: "mkdir", Class: Forward, Args: [6]Arg{Str}},
	SYS_RMDIR:                   {Name: "rmdir", Class: Forward, Args: [6]Arg{Str}},
	SYS_CREAT:                   {Name: "creat", Class: Forward, Result: NewFD, Args: [6]Arg{Str}},
	SYS_LINK:                    {Name: "link", Class: Forward, Args: [6]Arg{Str, Str}},
	SYS_UNLINK:                  {Name: "unlink", Class: Forward, Args: [6]Arg{Str}},
	SYS_SYMLINK:                 {Name: "symlink", Class: Forward, Args: [6]Arg{Str, Str}},
	SYS_READLINK:                {Name: "readlink", Class: Forward, Result: Bytes, Args: [6]Arg{Str, Out | ref2 | 1<<sizeShift}},
	SYS_CHMOD:                   {Name: "chmod", Class: Forward, Args: [6]Arg{Str}},
	SYS_FCHMOD:                  {Name: "fchmod", Class: Forward, Args: [6]Arg{FD}},
	SYS_CHOWN:                   {Name: "chown", Class: Forward, Args: [6]Arg{Str}},
	SYS_FCHOWN:                  {Name: "fchown", Class: Forward, Args: [6]Arg{FD}},
	SYS_LCHOWN:                  {Name: "lchown", Class: Forward, Args: [6]Arg{Str}},
	SYS_UMASK:                   {Name: "umask", Class: Forward},
	SYS_GETTIMEOFDAY:            {Name: "gettimeofday", Class: Local},
	SYS_GETRLIMIT:               {Name: "getrlimit", Class: Forward, Args: [6]Arg{Int, StructOut | 16<<sizeShift}},
	SYS_GETRUSAGE:               {Name: "getrusage", Class: Local, Args: [6]Arg{Int, StructOut | 144<<sizeShift}},
	SYS_SYSINFO:                 {Name: "sysinfo", Class: Forward, Args: [6]Arg{StructOut | 112<<sizeShift}},
	SYS_TIMES:                   {Name: "times", Class: Local},
	SYS_PTRACE:                  {Name: "ptrace"},
	SYS_GETUID:                  {Name: "getuid", Class: Forward},
	SYS_SYSLOG:                  {Name: "syslog", Class: Forward, Args: [6]Arg{Int, Out | ref2 | 1<<sizeShift}},
	SYS_GETGID:                  {Name: "getgid", Class: Forward},
	SYS_SETUID:                  {Name: "setuid", Class: Forward},
	SYS_SETGID:                  {Name: "setgid", Class: Forward},
	SYS_GETEUID:                 {Name: "geteuid", Class: Forward},
	SYS_GETEGID:                 {Name: "getegid", Class: Forward},
	SYS_SETPGID:                 {Name: "setpgid", Class: Forward},
	SYS_GETPPID:                 {Name: "getppid", Class: Forward},
	SYS_GETPGRP:                 {Name: "getpgrp", Class: Forward},
	SYS_SETSID:                  {Name: "setsid", Class: Forward},
	SYS_SETREUID:                {Name: "setreuid", Class: Forward},
	SYS_SETREGID:                {Name: "setregid", Class: Forward},
	SYS_GETGROUPS:               {Name: "getgroups", Class: Forward, Result: Bytes, Args: [6]Arg{Int, Out | ref0 | 4<<sizeShift}},
	SYS_SETGROUPS:               {Name: "setgroups", Class: Forward, Args: [6]Arg{Int, In | ref0 | 4<<sizeShift}},
	SYS_SETRESUID:               {Name: "setresuid", Class: Forward},
	SYS_GETRESUID:               {Name: "getresuid", Class: Forward, Args: [6]Arg{StructOut | 4<<sizeShift, StructOut | 4<<sizeShift, StructOut | 4<<sizeShift}},
	SYS_SETRESGID:               {Name: "setresgid", Class: Forward},
	SYS_GETRESGID:               {Name: "getresgid", Class: Forward, Args: [6]Arg{StructOut | 4<<sizeShift, StructOut | 4<<sizeShift, StructOut | 4<<sizeShift}},
	SYS_GETPGID:                 {Name: "getpgid", Class: Forward},
	SYS_SETFSUID:                {Name: "setfsuid", Class: Forward},
	SYS_SETFSGID:                {Name: "setfsgid", Class: Forward},
	SYS_GETSID:                  {Name: "getsid", Class: Forward},
	SYS_CAPGET:                  {Name: "capget", Class: Forward, Args: [6]Arg{StructIO | 8<<sizeShift, StructOut | 24<<sizeShift}},
	SYS_CAPSET:                  {Name: "capset", Class: Forward, Args: [6]Arg{StructIn | 8<<sizeShift, StructIn | 24<<sizeShift}},
	SYS_RT_SIGPENDING:           {Name: "rt_sigpending", Class: Local},
	SYS_RT_SIGTIMEDWAIT:         {Name: "rt_sigtimedwait", Class: Local},
	SYS_RT_SIGQUEUEINFO:         {Name: "rt_sigqueueinfo", Class: Forward, Args: [6]Arg{Int, Int, StructIn | 128<<sizeShift}},
	SYS_RT_SIGSUSPEND:           {Name: "rt_sigsuspend", Class: Local},
	SYS_SIGALTSTACK:             {Name: "sigaltstack", Class: Local},
	SYS_UTIME:                   {Name: "utime", Class: Forward, Args: [6]Arg{Str, StructIn | 16<<sizeShift}},
	SYS_MKNOD:                   {Name: "mknod", Class: Forward, Args: [6]Arg{Str}},
	SYS_PERSONALITY:             {Name: "personality", Class: Forward},
	SYS_STATFS:                  {Name: "statfs", Class: Forward, Args: [6]Arg{Str, StructOut | 120<<sizeShift}},
	SYS_FSTATFS:                 {Name: "fstatfs", Class: Forward, Args: [6]Arg{FD, StructOut | 120<<sizeShift}},
	SYS_GETPRIORITY:             {Name: "getpriority", Class: Forward},
	SYS_SETPRIORITY:             {Name: "setpriority", Class: Forward},
	SYS_SCHED_SETPARAM:          {Name: "sched_setparam", Class: Forward, Args: [6]Arg{Int, StructIn | 4<<sizeShift}},
	SYS_SCHED_GETPARAM:          {Name: "sched_getparam", Class: Forward, Args: [6]Arg{Int, StructOut | 4<<sizeShift}},
	SYS_SCHED_SETSCHEDULER:      {Name: "sched_setscheduler", Class: Forward, Args: [6]Arg{Int, Int, StructIn | 4<<sizeShift}},
	SYS_SCHED_GETSCHEDULER:      {Name: "sched_getscheduler", Class: Forward},
	SYS_SCHED_GET_PRIORITY_MAX:  {Name: "sched_get_priority_max", Class: Forward},
	SYS_SCHED_GET_PRIORITY_MIN:  {Name: "sched_get_priority_min", Class: Forward},
	SYS_SCHED_RR_GET_INTERVAL:   {Name: "sched_rr_get_interval", Class: Forward, Args: [6]Arg{Int, StructOut | 16<<sizeShift}},
	SYS_MLOCK:                   {Name: "mlock", Class: Local},
	SYS_MUNLOCK:                 {Name: "munlock", Class: Local},
	SYS_MLOCKALL:                {Name: "mlockall", Class: Local},
	SYS_MUNLOCKALL:              {Name: "munlockall", Class: Local},
	SYS_VHANGUP:                 {Name: "vhangup", Class: Forward},
	SYS_PIVOT_ROOT:              {Name: "pivot_root", Class: Forward, Args: [6]Arg{Str, Str}},
	SYS_PRCTL:                   {Name: "prctl", Class: Forward},
	SYS_ARCH_PRCTL:              {Name: "arch_prctl", Class: Local},
	SYS_ADJTIMEX:                {Name: "adjtimex", Class: Forward, Args: [6]Arg{StructIO | 208<<sizeShift}},
	SYS_SETRLIMIT:               {Name: "setrlimit", Class: Forward, Args: [6]Arg{Int, StructIn | 16<<sizeShift}},
	SYS_CHROOT:                  {Name: "chroot", Class: Forward, Args: [6]Arg{Str}},
	SYS_SYNC:                    {Name: "sync", Class: Forward},
	SYS_ACCT:                    {Name: "acct", Class: Forward, Args: [6]Arg{Str}},
	SYS_SETTIMEOFDAY:            {Name: "settimeofday", Class: Forward, Args: [6]Arg{StructIn | 16<<sizeShift, StructIn | 8<<sizeShift}},
	SYS_MOUNT:                   {Name: "mount", Class: Forward, Args: [6]Arg{Str, Str, Str, Int, Str}},
	SYS_UMOUNT2:                 {Name: "umount2", Class: Forward, Args: [6]Arg{Str}},
	SYS_SWAPON:                  {Name: "swapon", Class: Forward, Args: [6]Arg{Str}},
	SYS_SWAPOFF:                 {Name: "swapoff", Class: Forward, Args: [6]Arg{Str}},
	SYS_REBOOT:                  {Name: "reboot", Class: Forward, Args: [6]Arg{Int, Int, Int, Str}},
	SYS_SETHOSTNAME:             {Name: "sethostname", Class: Forward, Args: [6]Arg{In | ref1 | 1<<sizeShift}},
	SYS_SETDOMAINNAME:           {Name: "setdomainname", Class: Forward, Args: [6]Arg{In | ref1 | 1<<sizeShift}},
	SYS_IOPL:                    {Name: "iopl", Class: Forward},
	SYS_IOPERM:                  {Name: "ioperm", Class: Forward},
	SYS_INIT_MODULE:             {Name: "init_module", Class: Forward, Args: [6]Arg{In | ref1 | 1<<sizeShift, Int, Str}},
	SYS_DELETE_MODULE:           {Name: "delete_module", Class: Forward, Args: [6]Arg{Str}},
	SYS_QUOTACTL:                {Name: "quotactl"},
	SYS_GETTID:                  {Name: "gettid", Class: Forward},
	SYS_READAHEAD:               {Name: "readahead", Class: Data, Args: [6]Arg{FD}},
	SYS_SETXATTR:                {Name: "setxattr", Class: Forward, Args: [6]Arg{Str, Str, In | ref3 | 1<<sizeShift}},
	SYS_LSETXATTR:               {Name: "lsetxattr", Class: Forward, Args: [6]Arg{Str, Str, In | ref3 | 1<<sizeShift}},
	SYS_FSETXATTR:               {Name: "fsetxattr", Class: Forward, Args: [6]Arg{FD, Str, In | ref3 | 1<<sizeShift}},
	SYS_GETXATTR:                {Name: "getxattr", Class: Forward, Result: Bytes, Args: [6]Arg{Str, Str, Out | ref3 | 1<<sizeShift}},
	SYS_LGETXATTR:               {Name: "lgetxattr", Class: Forward, Result: Bytes, Args: [6]Arg{Str, Str, Out | ref3 | 1<<sizeShift}},
	SYS_FGETXATTR:               {Name: "fgetxattr", Class: Forward, Result: Bytes, Args: [6]Arg{FD, Str, Out | ref3 | 1<<sizeShift}},
	SYS_LISTXATTR:               {Name: "listxattr", Class: Forward, Result: Bytes, Args: [6]Arg{Str, Out | ref2 | 1<<sizeShift}},
	SYS_LLISTXATTR:              {Name: "llistxattr", Class: Forward, Result: Bytes, Args: [6]Arg{Str, Out | ref2 | 1<<sizeShift}},
	SYS_FLISTXATTR:              {Name: "flistxattr", Class: Forward, Result: Bytes, Args: [6]Arg{FD, Out | ref2 | 1<<sizeShift}},
	SYS_REMOVEXATTR:             {Name: "removexattr", Class: Forward, Args: [6]Arg{Str, Str}},
	SYS_LREMOVEXATTR:            {Name: "lremovexattr", Class: Forward, Args: [6]Arg{Str, Str}},
	SYS_FREMOVEXATTR:            {Name: "fremovexattr", Class: Forward, Args: [6]Arg{FD, Str}},
	SYS_TKILL:                   {Name: "tkill", Class: Forward},
	SYS_TIME:                    {Name: "time", Class: Local},
	SYS_FUTEX:                   {Name: "futex", Class: Local},
	SYS_SCHED_SETAFFINITY:       {Name: "sched_setaffinity", Class: Forward, Args: [6]Arg{Int, Int, In | ref1 | 1<<sizeShift}},
	SYS_SCHED_GETAFFINITY:       {Name: "sched_getaffinity", Class: Forward, Result: Bytes, Args: [6]Arg{Int, Int, Out | ref1 | 1<<sizeShift}},
	SYS_EPOLL_CREATE:            {Name: "epoll_create", Class: Forward, Result: NewFD},
	SYS_GETDENTS64:              {Name: "getdents64", Class: Forward, Result: Bytes, Args: [6]Arg{FD, Out | ref2 | 1<<sizeShift}},
	SYS_SET_TID_ADDRESS:         {Name: "set_tid_address", Class: Local},
	SYS_RESTART_SYSCALL:         {Name: "restart_syscall", Class: Local},
	SYS_FADVISE64:               {Name: "fadvise64", Class: Data, Args: [6]Arg{FD}},
	SYS_TIMER_CREATE:            {Name: "timer_create", Class: Forward, Args: [6]Arg{Int, StructIn | 64<<sizeShift, StructOut | 4<<sizeShift}},
	SYS_TIMER_SETTIME:           {Name: "timer_settime", Class: Forward, Args: [6]Arg{Int, Int, StructIn | 32<<sizeShift, StructOut | 32<<sizeShift}},
	SYS_TIMER_GETTIME:           {Name: "timer_gettime", Class: Forward, Args: [6]Arg{Int, StructOut | 32<<sizeShift}},
	SYS_TIMER_GETOVERRUN:        {Name: "timer_getoverrun", Class: Forward},
	SYS_TIMER_DELETE:            {Name: "timer_delete", Class: Forward},
	SYS_CLOCK_SETTIME:           {Name: "clock_settime", Class: Forward, Args: [6]Arg{Int, StructIn | 16<<sizeShift}},
	SYS_CLOCK_GETTIME:           {Name: "clock_gettime", Class: Local},
	SYS_CLOCK_GETRES:            {Name: "clock_getres", Class: Local},
	SYS_CLOCK_NANOSLEEP:         {Name: "clock_nanosleep", Class: Local},
	SYS_EXIT_GROUP:              {Name: "exit_group", Class: Local},
	SYS_EPOLL_WAIT:              {Name: "epoll_wait", Class: Forward, Result: Bytes, Args: [6]Arg{FD, Out | ref2 | 12<<sizeShift}},
	SYS_EPOLL_CTL:               {Name: "epoll_ctl", Class: Forward, Args: [6]Arg{FD, Int, FD, StructIn | 12<<sizeShift}},
	SYS_TGKILL:                  {Name: "tgkill", Class: Forward},
	SYS_UTIMES:                  {Name: "utimes", Class: Forward, Args: [6]Arg{Str, StructIn | 32<<sizeShift}},
	SYS_WAITID:                  {Name: "waitid", Class: Forward, Args: [6]Arg{Int, Int, StructOut | 128<<sizeShift, Int, StructOut | 144<<sizeShift}},
	SYS_ADD_KEY:                 {Name: "add_key", Class: Forward, Args: [6]Arg{Str, Str, In | ref3 | 1<<sizeShift}},
	SYS_REQUEST_KEY:             {Name: "request_key", Class: Forward, Args: [6]Arg{Str, Str, Str}},
	SYS_KEYCTL:                  {Name: "keyctl"},
	SYS_IOPRIO_SET:              {Name: "ioprio_set", Class: Forward},
	SYS_IOPRIO_GET:              {Name: "ioprio_get", Class: Forward},
	SYS_INOTIFY_INIT:            {Name: "inotify_init", Class: Forward, Result: NewFD},
	SYS_INOTIFY_ADD_WATCH:       {Name: "inotify_add_watch", Class: Forward, Args: [6]Arg{FD, Str}},
	SYS_INOTIFY_RM_WATCH:        {Name: "inotify_rm_watch", Class: Forward, Args: [6]Arg{FD}},
	SYS_OPENAT:                  {Name: "openat", Class: Forward, Result: NewFD, Args: [6]Arg{DirFD, Str}},
	SYS_MKDIRAT:                 {Name: "mkdirat", Class: Forward, Args: [6]Arg{DirFD, Str}},
	SYS_MKNODAT:                 {Name: "mknodat", Class: Forward, Args: [6]Arg{DirFD, Str}},
	SYS_FCHOWNAT:                {Name: "fchownat", Class: Forward, Args: [6]Arg{DirFD, Str}},
	SYS_FUTIMESAT:               {Name: "futimesat", Class: Forward, Args: [6]Arg{DirFD, Str, StructIn | 32<<sizeShift}},
	SYS_NEWFSTATAT:              {Name: "newfstatat", Class: Forward, Args: [6]Arg{DirFD, Str, StructOut | 144<<sizeShift}},
	SYS_UNLINKAT:                {Name: "unlinkat", Class: Forward, Args: [6]Arg{DirFD, Str}},
	SYS_RENAMEAT:                {Name: "renameat", Class: Forward, Args: [6]Arg{DirFD, Str, DirFD, Str}},
	SYS_LINKAT:                  {Name: "linkat", Class: Forward, Args: [6]Arg{DirFD, Str, DirFD, Str}},
	SYS_SYMLINKAT:               {Name: "symlinkat", Class: Forward, Args: [6]Arg{Str, DirFD, Str}},
	SYS_READLINKAT:              {Name: "readlinkat", Class: Forward, Result: Bytes, Args: [6]Arg{DirFD, Str, Out | ref3 | 1<<sizeShift}},
	SYS_FCHMODAT:                {Name: "fchmodat", Class: Forward, Args: [6]Arg{DirFD, Str}},
	SYS_FACCESSAT:               {Name: "faccessat", Class: Forward, Args: [6]Arg{DirFD, Str}},
	SYS_PSELECT6:                {Name: "pselect6", Class: Forward, Args: [6]Arg{Int, StructIO | 128<<sizeShift, StructIO | 128<<sizeShift, StructIO | 128<<sizeShift, StructIn | 16<<sizeShift, Drop}},
	SYS_PPOLL:                   {Name: "ppoll", Class: Forward, Args: [6]Arg{InOut | ref1 | 8<<sizeShift, Int, StructIn | 16<<sizeShift, In | ref4 | 1<<sizeShift}},
	SYS_UNSHARE:                 {Name: "unshare", Class: Forward},
	SYS_SET_ROBUST_LIST:         {Name: "set_robust_list", Class: Local},
	SYS_GET_ROBUST_LIST:         {Name: "get_robust_list", Class: Local},
	SYS_SPLICE:                  {Name: "splice", Class: Data, Args: [6]Arg{FD, StructIO | 8<<sizeShift, FD, StructIO | 8<<sizeShift}},
	SYS_TEE:                     {Name: "tee", Class: Data, Args: [6]Arg{FD, FD}},
	SYS_SYNC_FILE_RANGE:         {Name: "sync_file_range", Class: Data, Args: [6]Arg{FD}},
	SYS_VMSPLICE:                {Name: "vmsplice"},
	SYS_UTIMENSAT:               {Name: "utimensat", Class: Forward, Args: [6]Arg{DirFD, Str, StructIn | 32<<sizeShift}},
	SYS_EPOLL_PWAIT:             {Name: "epoll_pwait", Class: Forward, Result: Bytes, Args: [6]Arg{FD, Out | ref2 | 12<<sizeShift, Int, Int, In | ref5 | 1<<sizeShift}},
	SYS_SIGNALFD:                {Name: "signalfd", Class: Forward, Result: NewFD, Args: [6]Arg{FD, In | ref2 | 1<<sizeShift}},
	SYS_TIMERFD_CREATE:          {Name: "timerfd_create", Class: Forward, Result: NewFD},
	SYS_EVENTFD:                 {Name: "eventfd", Class: Forward, Result: NewFD},
	SYS_FALLOCATE:               {Name: "fallocate", Class: Data, Args: [6]Arg{FD}},
	SYS_TIMERFD_SETTIME:         {Name: "timerfd_settime", Class: Forward, Args: [6]Arg{FD, Int, StructIn | 32<<sizeShift, StructOut | 32<<sizeShift}},
	SYS_TIMERFD_GETTIME:         {Name: "timerfd_gettime", Class: Forward, Args: [6]Arg{FD, StructOut | 32<<sizeShift}},
	SYS_ACCEPT4:                 {Name: "accept4", Class: Forward, Result: NewFD, Args: [6]Arg{FD, AddrOut | ref2, SockLen | ref1}},
	SYS_SIGNALFD4:               {Name: "signalfd4", Class: Forward, Result: NewFD, Args: [6]Arg{FD, In | ref2 | 1<<sizeShift}},
	SYS_EVENTFD2:                {Name: "eventfd2", Class: Forward, Result: NewFD},
	SYS_EPOLL_CREATE1:           {Name: "epoll_create1", Class: Forward, Result: NewFD},
	SYS_DUP3:                    {Name: "dup3", Class: Special, Result: NewFD, Args: [6]Arg{FD}},
	SYS_PIPE2:                   {Name: "pipe2", Class: Forward, Result: Pair, Args: [6]Arg{StructOut | 8<<sizeShift}},
	SYS_INOTIFY_INIT1:           {Name: "inotify_init1", Class: Forward, Result: NewFD},
	SYS_PREADV:                  {Name: "preadv", Class: Data, Result: Bytes, Args: [6]Arg{FD, IovOut | ref2}},
	SYS_PWRITEV:                 {Name: "pwritev", Class: Data, Args: [6]Arg{FD, IovIn | ref2}},
	SYS_RT_TGSIGQUEUEINFO:       {Name: "rt_tgsigqueueinfo", Class: Forward, Args: [6]Arg{Int, Int, Int, StructIn | 128<<sizeShift}},
	SYS_RECVMMSG:                {Name: "recvmmsg", Class: Special, Args: [6]Arg{FD}},
	SYS_FANOTIFY_INIT:           {Name: "fanotify_init", Class: Forward, Result: NewFD},
	SYS_FANOTIFY_MARK:           {Name: "fanotify_mark", Class: Forward, Args: [6]Arg{FD, Int, Int, DirFD, Str}},
	SYS_PRLIMIT64:               {Name: "prlimit64", Class: Forward, Args: [6]Arg{Int, Int, StructIn | 16<<sizeShift, StructOut | 16<<sizeShift}},
	SYS_NAME_TO_HANDLE_AT:       {Name: "name_to_handle_at"},
	SYS_OPEN_BY_HANDLE_AT:       {Name: "open_by_handle_at"},
	SYS_CLOCK_ADJTIME:           {Name: "clock_adjtime", Class: Forward, Args: [6]Arg{Int, StructIO | 208<<sizeShift}},
	SYS_SYNCFS:                  {Name: "syncfs", Class: Forward, Args: [6]Arg{FD}},
	SYS_SENDMMSG:                {Name: "sendmmsg", Class: Special, Args: [6]Arg{FD}},
	SYS_SETNS:                   {Name: "setns", Class: Forward, Args: [6]Arg{FD}},
	SYS_GETCPU:                  {Name: "getcpu", Class: Local},
	SYS_KCMP:                    {Name: "kcmp", Class: Forward},
	SYS_FINIT_MODULE:            {Name: "finit_module", Class: Forward, Args: [6]Arg{FD, Str}},
	SYS_SCHED_SETATTR:           {Name: "sched_setattr", Class: Forward, Args: [6]Arg{Int, StructIn | 48<<sizeShift}},
	SYS_SCHED_GETATTR:           {Name: "sched_getattr", Class: Forward, Args: [6]Arg{Int, Out | ref2 | 1<<sizeShift}},
	SYS_RENAMEAT2:               {Name: "renameat2", Class: Forward, Args: [6]Arg{DirFD, Str, DirFD, Str}},
	SYS_SECCOMP:                 {Name: "seccomp"},
	SYS_GETRANDOM:               {Name: "getrandom", Class: Forward, Result: Bytes, Args: [6]Arg{Out | ref1 | 1<<sizeShift}},
	SYS_MEMFD_CREATE:            {Name: "memfd_create", Class: Forward, Result: NewFD, Args: [6]Arg{Str}},
	SYS_EXECVEAT:                {Name: "execveat", Class: Forward, Args: [6]Arg{DirFD, Str, StrVec, StrVec}},
	SYS_USERFAULTFD:             {Name: "userfaultfd"},
	SYS_MEMBARRIER:              {Name: "membarrier", Class: Local},
	SYS_MLOCK2:                  {Name: "mlock2", Class: Local},
	SYS_COPY_FILE_RANGE:         {Name: "copy_file_range", Class: Data, Args: [6]Arg{FD, StructIO | 8<<sizeShift, FD, StructIO | 8<<sizeShift}},
	SYS_PREADV2:                 {Name: "preadv2", Class: Data, Result: Bytes, Args: [6]Arg{FD, IovOut | ref2}},
	SYS_PWRITEV2:                {Name: "pwritev2", Class: Data, Args: [6]Arg{FD, IovIn | ref2}},
	SYS_PKEY_MPROTECT:           {Name: "pkey_mprotect", Class: Local},
	SYS_PKEY_ALLOC:              {Name: "pkey_alloc", Class: Local},
	SYS_PKEY_FREE:               {Name: "pkey_free", Class: Local},
	SYS_STATX:                   {Name: "statx", Class: Forward, Args: [6]Arg{DirFD, Str, Int, Int, StructOut | 256<<sizeShift}},
	SYS_RSEQ:                    {Name: "rseq", Class: Local},
	SYS_PIDFD_SEND_SIGNAL:       {Name: "pidfd_send_signal", Class: Forward, Args: [6]Arg{FD, Int, StructIn | 128<<sizeShift}},
	SYS_IO_URING_SETUP:          {Name: "io_uring_setup"},
	SYS_IO_URING_ENTER:          {Name: "io_uring_enter"},
	SYS_IO_URING_REGISTER:       {Name: "io_uring_register"},
	SYS_OPEN_TREE:               {Name: "open_tree", Class: Forward, Result: NewFD, Args: [6]Arg{DirFD, Str}},
	SYS_MOVE_MOUNT:              {Name: "move_mount", Class: Forward, Args: [6]Arg{DirFD, Str, DirFD, Str}},
	SYS_FSOPEN:                  {Name: "fsopen", Class: Forward, Result: NewFD, Args: [6]Arg{Str}},
	SYS_FSCONFIG:                {Name: "fsconfig"},
	SYS_FSMOUNT:                 {Name: "fsmount", Class: Forward, Result: NewFD, Args: [6]Arg{FD}},
	SYS_FSPICK:                  {Name: "fspick", Class: Forward, Result: NewFD, Args: [6]Arg{DirFD, Str}},
	SYS_PIDFD_OPEN:              {Name: "pidfd_open", Class: Forward, Result: NewFD},
	SYS_CLONE3:                  {Name: "clone3"},
	SYS_CLOSE_RANGE:             {Name: "close_range", Class: Special},
	SYS_OPENAT2:                 {Name: "openat2", Class: Forward, Result: NewFD, Args: [6]Arg{DirFD, Str, In | ref3 | 1<<sizeShift}},
	SYS_PIDFD_GETFD:             {Name: "pidfd_getfd", Class: Forward, Result: NewFD, Args: [6]Arg{FD}},
	SYS_FACCESSAT2:              {Name: "faccessat2", Class: Forward, Args: [6]Arg{DirFD, Str}},
	SYS_PROCESS_MADVISE:         {Name: "process_madvise"},
	SYS_EPOLL_PWAIT2:            {Name: "epoll_pwait2", Class: Forward, Result: Bytes, Args: [6]Arg{FD, Out | ref2 | 12<<sizeShift, Int, StructIn | 16<<sizeShift, In | ref5 | 1<<sizeShift}},
	SYS_MOUNT_SETATTR:           {Name: "mount_setattr", Class: Forward, Args: [6]Arg{DirFD, Str, Int, In | ref4 | 1<<sizeShift}},
	SYS_LANDLOCK_CREATE_RULESET: {Name: "landlock_create_ruleset", Class: Forward, Result: NewFD, Args: [6]Arg{In | ref1 | 1<<sizeShift}},
	SYS_LANDLOCK_ADD_RULE:       {Name: "landlock_add_rule"},
	SYS_LANDLOCK_RESTRICT_SELF:  {Name: "landlock_restrict_self"},
	SYS_PROCESS_MRELEASE:        {Name: "process_mrelease", Class: Forward, Args: [6]Arg{FD}},
	SYS_FCHMODAT2:               {Name: "fchmodat2", Class: Forward, Args: [6]Arg{DirFD, Str}},
}
