# The API between a remote binary's runtime stub and a runtime server.
#
# Two bindings carry it. Framed: on a connection that starts with the 8 bytes
# "REMOTEC1" both sides send Message structs as Cap'n Proto stream frames of
# exactly one segment; stubs use it. RPC: on a connection that starts with
# "REMOTECR" the bootstrap capability is a Server; tools use it.
#
# docs/api.md tells the protocol: who sends what when, and how descriptors
# and shared memory travel.

@0xd1f2a7c4b8e63590;

using Go = import "/go.capnp";
$Go.package("capnp");
$Go.import("remotec.dev/capnp");

struct Message {
  union {
    attach @0 :Attach;          # process to server, first on a connection
    attached @1 :Attached;      # the answer, or
    refused @2 :Refused;
    link @3 :Link;              # process to server, first on a further connection
    call @4 :Call;              # process to server, on a link
    reply @5 :Reply;            # answers a call, in order, on the same link
    event @6 :Event;            # server to process, on the first connection
    goroutines @7 :Goroutines;  # process to server, on the first connection
  }
}

struct Attach {
  apiVersion @0 :UInt32;   # must equal the server's
  pid @1 :UInt32;          # of the process itself, on its host
  umask @2 :UInt32;
  flags @3 :UInt32;        # 1: descriptors 0, 1, 2 and the working directory travel along (SCM_RIGHTS)
                           # 2: started by the server it attaches to
                           # 4: offers to carry its standard streams; 8: 1 and 2 are the same file
  cpuFeatures @4 :UInt64;  # bits in the order that docs/api.md gives
  goVersion @5 :Text;      # runtime.Version()
  buildId @6 :Text;        # Go build ID of the executable
  token @7 :Text;          # the right to start sessions; what the server asks for
  path @8 :Text;           # of the executable
  cwd @9 :Text;
  args @10 :List(Text);
  processes @11 :UInt32;   # that the program asks for; 0: as many as the server gives
  placement @12 :UInt32;   # of goroutines, that it asks for: 0 the server's, 1 local, 2 spread, 3 balance
}

struct Attached {
  session @0 :UInt64;
  process @1 :UInt32;      # number of the process in the session, from 0
  processes @2 :UInt32;
  policy @3 :UInt32;       # 1: descriptors may be handed over; 2: links may use shared memory
                           # 4: the standard streams are to be opened; 8: goroutines are spread; 16: they are balanced
  std @4 :UInt32;          # bit i: descriptor i of the process is the session's own and may be used directly
  lease @5 :UInt64;        # goroutines that may be created before asking for more
  hooks @6 :UInt64;        # runtime entry points to count; bit numbers as in internal/linkname
  pid @7 :UInt32;          # process id that the program sees
  server @8 :Text;         # name and version of the server
  key @9 :Data;            # 16 random bytes that later links present
}

struct Refused {
  code @0 :UInt32;         # 1 API version, 2 binary, 3 token, 4 CPU features, 5 no capacity, 6 malformed attach,
                           # 7 start again: the message is what REMOTEC_PROCESS is to be
  message @1 :Text;        # for people
}

struct Link {
  session @0 :UInt64;
  thread @1 :UInt32;       # number of the thread in the process; calls of one thread run on one thread at the server
  flags @2 :UInt32;        # 1: a memfd with the link's ring travels along
                           # 2: no link but the standard stream that thread is the descriptor of
                           # 4: no link but the memory of the process
  key @3 :Data;
}

struct Call {
  number @0 :UInt32;       # system call of linux/amd64; from 0x10000 on the pseudo calls of docs/api.md
  nulls @1 :UInt32;        # bit i: argument i is a nil pointer
  arg0 @2 :UInt64;         # arguments; where one is a buffer its value means nothing
  arg1 @3 :UInt64;
  arg2 @4 :UInt64;
  arg3 @5 :UInt64;
  arg4 @6 :UInt64;
  arg5 @7 :UInt64;
  blob0 @8 :Data;          # contents of buffer arguments, strings without a terminating zero
  blob1 @9 :Data;
  blob2 @10 :Data;
  blob3 @11 :Data;
  blob4 @12 :Data;
  blob5 @13 :Data;
}

struct Reply {
  errno @0 :UInt32;        # 0: success
  handed @1 :UInt32;       # new descriptors that travel with the reply (SCM_RIGHTS)
  r1 @2 :UInt64;
  r2 @3 :UInt64;
  blob0 @4 :Data;          # contents of output buffers
  blob1 @5 :Data;
  blob2 @6 :Data;
  blob3 @7 :Data;
  blob4 @8 :Data;
  blob5 @9 :Data;
}

struct Event {
  kind @0 :UInt32;         # 1 signal, 2 descriptor ready, 3 report goroutines, 4 end of session,
                           # 5 memory is served, 6 probe, 7 deadlock, 8 message of another process,
                           # 9 collect garbage together, 10 traceback, 11 exit, 12 move a goroutine, 13 map memory,
                           # 24 tell something of the process, 25 account for goroutines,
                           # 36 list goroutines, 37 answer a question
  n @1 :UInt32;            # signal number; epoll events; 1 for a list of all; exit status; kind of message
  a @2 :UInt64;            # ready: the cookie of pollopen; message: its words are a and b
  b @3 :UInt64;
  text @4 :Text;
  c @5 :UInt64;
  d @6 :UInt64;
}

struct Use {               # of goroutines; times in ns
  cpu @0 :UInt64;          # running, without system calls
  bytes @1 :UInt64;        # allocated, right to within a span for each size of objects
  objects @2 :UInt64;
  chans @3 :UInt64;        # sends, receives, closings of channels and selects
  calls @4 :UInt64;        # system calls
  waitRun @5 :UInt64;      # waiting for a processor,
  waitChan @6 :UInt64;     # a channel,
  waitSelect @7 :UInt64;   # one of several channels,
  waitLock @8 :UInt64;     # a lock, a group, a condition,
  waitSleep @9 :UInt64;    # a time,
  waitIO @10 :UInt64;      # a descriptor,
  waitCall @11 :UInt64;    # the end of a system call,
  waitOther @12 :UInt64;   # the runtime
}

struct Site {
  pc @0 :UInt64;
  created @1 :UInt64;
  ended @2 :UInt64;
  live @3 :UInt64;
  line @4 :UInt32;
  func @5 :Text;
  file @6 :Text;
  use @7 :Use;             # of all its goroutines, ended and live
}

struct Goroutine {
  id @0 :UInt64;
  pc @1 :UInt64;           # of the go statement that made it
  status @2 :UInt32;       # as in the runtime: 1 runnable, 2 running, 3 in a system call, 4 waiting
  wait @3 :Text;           # what it waits for
  process @4 :UInt32;      # that has it
  stack @5 :UInt64;        # bytes
  use @6 :Use;
}

struct Count {
  n @0 :UInt64;
}

struct Goroutines {
  created @0 :UInt64;      # totals since the process started
  ended @1 :UInt64;
  live @2 :UInt64;
  hooks @3 :List(Count);   # uses of the counted entry points, by bit number
  sites @4 :List(Site);
  list @5 :List(Goroutine);
  more @6 :Bool;           # the list goes on in a further message; the rest of this one means nothing
  collections @7 :UInt64;  # of garbage
  pause @8 :UInt64;        # ns that the process stood still for them
  heap @9 :UInt64;         # bytes in use
}

struct SessionInfo {
  id @0 :UInt64;
  pid @1 :UInt32;          # process id the program sees
  processPid @2 :UInt32;   # of the program's own process on its host
  path @3 :Text;
  args @4 :List(Text);
  goVersion @5 :Text;
  buildId @6 :Text;
  started @7 :Int64;       # Unix time in ns
  calls @8 :UInt64;        # carried out for the session
  links @9 :UInt32;
  descriptors @10 :UInt32; # open
  goroutines @11 :UInt64;  # live
  created @12 :UInt64;     # goroutines created so far
  remote @13 :Text;        # address of the process, empty where it is local
  processes @14 :List(ProcessInfo);
  accounted @15 :Int64;    # Unix time in ns: since when it accounts for what goroutines use; 0: it does not
}

struct ProcessInfo {
  number @0 :UInt32;
  pid @1 :UInt32;          # on its host
  host @2 :Text;           # name of its host; empty: the session's
  goroutines @3 :UInt64;   # live
  created @4 :UInt64;
  gone @5 :Bool;           # it was drained, and has ended
}

struct NodeInfo {
  name @0 :Text;           # as it calls itself
  address @1 :Text;        # that it came from
  cpus @2 :UInt32;
  sessions @3 :UInt32;     # in which it takes part
  joined @4 :Int64;        # Unix time in ns
}

struct Decision {          # of the placement
  number @0 :UInt64;       # 1 for the first one of the session
  time @1 :Int64;          # Unix time in ns
  goroutine @2 :UInt64;
  from @3 :UInt32;         # processes
  to @4 :UInt32;
  kind @5 :Text;           # asked, balance, affinity, label, undo
  reason @6 :Text;
  state @7 :Text;          # asked, moved, not moved
  why @8 :Text;            # it was not
  took @9 :Int64;          # ns
  known @10 :Bool;         # the effect is:
  before @11 :Float64;     # parts of its time that the goroutine spent on other processes
  after @12 :Float64;
}

struct Weight {            # of a goroutine's label in a process
  key @0 :Text;
  value @1 :Text;
  process @2 :UInt32;
  weight @3 :Float64;
}

interface Server {
  info @0 () -> (server :Text, apiVersion :UInt32, pid :UInt32);
  sessions @1 () -> (list :List(SessionInfo));
  goroutines @2 (session :UInt64, all :Bool) -> (goroutines :Goroutines);
  signal @3 (session :UInt64, number :UInt32) -> ();
  # Has a goroutine go to a process, and waits until it is there, for a second at
  # most. The error says why it is not; it may go later.
  migrate @4 (session :UInt64, goroutine :UInt64, process :UInt32) -> ();
  # What is to be shown of a session: picture, goroutines, stack or sharing, with
  # arguments as in a URL. docs/page.md has the arguments and the JSON.
  view @5 (session :UInt64, what :Text, arguments :Text) -> (json :Data);
  # Other hosts that have joined the server.
  nodes @6 () -> (list :List(NodeInfo));
  # Has all goroutines of some processes go to others of their hosts, and gives those
  # processes no new ones, or some again with undo. It waits for some seconds until none is left; the error says
  # which is. took is in ns.
  # Then the processes end, unless keep is set: after gone ns, or stays says which have not, and why.
  drain @7 (session :UInt64, processes :List(UInt32), undo :Bool, keep :Bool) -> (moved :UInt64, took :Int64, gone :Int64, stays :Text);
  # Has goroutines pause, or go on with resume: one, or all of process if goroutine is 0, or all of the
  # session if process is negative as well.
  pause @8 (session :UInt64, goroutine :UInt64, process :Int32, resume :Bool) -> ();
  # The last decisions about a goroutine, or about all for 0, oldest first, and whether it is
  # pinned.
  decisions @9 (session :UInt64, goroutine :UInt64) -> (list :List(Decision), pinned :Bool);
  # Has no policy move a goroutine any more, or lets them again.
  pin @10 (session :UInt64, goroutine :UInt64, pinned :Bool) -> ();
  # Sets how much goroutines with a label are drawn to a process; 0 removes it.
  weigh @11 (session :UInt64, weight :Weight) -> ();
  # The goroutines of all processes as runtime.Stack writes them.
  stacks @12 (session :UInt64) -> (text :Data);
  # A profile of the whole session, in the format of pprof, gzipped: "cpu", which takes the time
  # of ns, "goroutine", "heap", "block", "mutex" or "threadcreate".
  profile @13 (session :UInt64, kind :Text, ns :Int64) -> (profile :Data);
  stats @14 (session :UInt64) -> (stats :Stats);
  # Has a session account for what its goroutines use, from now on. since is Unix time in
  # ns: when it began to.
  account @15 (session :UInt64) -> (since :Int64);
}

struct Stats {             # of a session, since it began; what goroutines used: since accounted
  calls @0 :List(Named);   # system calls that the session carried out, by name
  memory @1 :List(Named);  # of the memory that processes have in common: faults, pages ...
  processes @2 :List(ProcessStats);
  links @3 :UInt32;
  descriptors @4 :UInt32;
  started @5 :Int64;       # Unix time in ns
  accounted @6 :Int64;
}

struct Named {
  name @0 :Text;
  n @1 :UInt64;
}

struct ProcessStats {
  number @0 :UInt32;
  live @1 :UInt64;         # goroutines
  created @2 :UInt64;
  use @3 :Use;             # of all its goroutines
  collections @4 :UInt64;
  pause @5 :UInt64;        # ns
  heap @6 :UInt64;         # bytes
}
