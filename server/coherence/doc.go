// Package coherence decides where the pages of a session's shared memory are, and
// which objects a process must keep because others may know them. It makes no
// system calls: what it decides is carried out by a [Memory] for each process.
//
// # Words
//
// A process allocates in its own *slot* of the address range and is the *home* of the
// pages there; shared globals have their home in process 0. *Holders* of a page
// have a copy. One that holds a page *exclusively* may write to it; a *shared* page has
// several holders, who may read. A *transition* of a page is any change of its
// holders or of their rights. A *hole* is a page without memory behind it.
//
// The *owner* of an address is the process whose slot it is in. An address is *pinned* at
// its owner for a *holder* that may know it. A process's *mark* is its garbage
// collection from [Pins.Begin] to [Pins.End]. It *meets* the foreign addresses that it
// comes across.
//
// # Coherence
//
// Single writer, many readers, by page ([Directory.Handle]). Invariants:
//
//   - Every page has a holder. A page without an entry is exclusive at its home.
//   - Who is no holder has a hole. A holder other than the home has no hole.
//   - All copies of a shared page are equal, and read-only. The home's may be a hole,
//     because its runtime gave the page back with MADV_REMOVE: it needs the
//     contents no longer, so that both the other copies and zeros will do. All processes
//     agree on which: the copies, as long as there are any.
//   - A fault that was answered already, or that another overtook, does no harm.
//
// Memory without pointers can be exempt from all this, see plain.go: it is not a matter of the
// collectors, and where all processes are on one host the hardware keeps it coherent. So are stacks, for
// another reason: see below.
//
// # Distributed garbage collection
//
// Each process collects its own slot, whenever it likes, and concurrently with the
// programs of all. It must not sweep an object that anybody can reach. The rules:
//
//	R1  A transition pins every aligned word of the page that looks like an address in
//	    a slot, for the process that gets the page, those that lose it or
//	    their right to write, and the page's home. An owner's own addresses
//	    are not pinned for itself.
//	R2  In a transition, copies are protected and dropped before the pins
//	    are made, and pages installed or unprotected after. (One that is staged at its receiver
//	    is not installed: see Direct.) The held set
//	    ([Directory.HeldExclusive]) grows before the pins and shrinks after.
//	R3  Roots of a mark are, beside the process's own: what is pinned in its slot
//	    ([Pins.Begin], [Pins.Since]), and all words of the pages that it holds
//	    exclusively and is not home of. The last Since is with the world stopped, and
//	    found nothing or what it found was marked through.
//	R4  The mark scans own objects where they are now: it reads the page,
//	    by a fault where another process has it.
//	R5  During a mark, a pointer store shades the old and the new value, whoever is
//	    home of the destination. To shade a foreign address is to meet it.
//	R6  At the end of a mark, everything that it met is pinned anew for the process
//	    at the addresses' owners; only then pins of it that are older than the
//	    mark's beginning cease to count, everywhere at once.
//	R7  What travels outside of pages is pinned from before it leaves the sender's hands
//	    until it is pinned for the receiver ([Pins.Hold], [Pins.Deliver]). Where the
//	    sender has it among its roots until then, as if it was on a stack of its own, no
//	    pin is needed; such roots are marked at the start of a mark, and before the
//	    last Since, when what was sent meanwhile may be on no stack any more.
//	    Where it is pinned some time after it left the sender's hands, a mark of the
//	    sender begins after that, and what is sent during it is shaded.
//
// Why that is enough. Say process j can come to an object o of slot k, j ≠ k. It got
// the address in one of these ways:
//
//   - From a message: pinned by R7, or known to the sender until it was pinned for j. From a page that it got to itself: pinned by R1.
//     From a page that it held exclusively and lost: pinned by R1, and
//     by R2 after its last access, so that a mark that began before has a pin
//     younger than its beginning, and one that began later finds the address on j's
//     stack. Such a pin goes only at the end of a mark that began after it and
//     does not meet o; then j no longer had o when it was marked.
//   - From an object x, of slot i, on a page of which it has a copy to read. There
//     may be no pin for j: it may have ended a mark since the copy was made, and copies
//     are no roots. But the copy is what i sees, too: as long as the page stays as
//     it is, x refers to o for i. j came to x directly, so that x is pinned at i, or
//     by way of another object, to which the same applies. So x lives at
//     i, whose marks meet o (R4), and o is pinned for the home i: from R1 when
//     the word came to be on the page by somebody else, from R5 and R6 when i wrote it.
//     When the page changes, j loses its copy first, and R1 pins o for j. When
//     j forgets x and keeps o in a register, x stays pinned until j's next whole
//     mark, which meets o: R6 pins o before x is let go.
//     The globals are such an x that is always reachable, as process 0 scans them in each mark.
//
// A goroutine may move to another process, and its stack then lies in a slot that is not that
// process's. A stack is no object x: it is scanned by the process that has the goroutine,
// wherever its page is. While the goroutine is under way what its stack refers to is what its
// message refers to, by R7, and so the new process has that pinned although it may have had a copy of
// the page before. Between hosts the sender has it pinned by Hold before the goroutine's
// message, and it is delivered with that.
//
// What a stack refers to is what a mark would have met there at the moment at which the goroutine left: the words that
// are live by the compiler's maps, or any word where it was interrupted at an instruction without one. The goroutine
// reads no other word of its stack before it has written it, so it comes to nothing that was not met then, but by
// way of that. What is written to the stack of one under way is a message of its own to the process that it goes to, which
// keeps it, by R7, until the goroutine is there.
//
// So R1 has nothing to say of a stack's pages but where one process reads or writes what
// is on the stack of another one's goroutine. That is done in channels only, with the value of one that
// waits: its process is told what was written, in a message before the one that wakes it, and who reads pins what it
// read for itself before it wakes it, as long as the other one still has it among its roots. Where all
// processes are on one host, stacks are therefore common as memory without pointers is. Also where
// such memory moves, as it does before it is common, R1 and the second part of R3 leave it out: what the words of a page
// without pointers look like, and what is dead on a stack, would keep objects alive that nobody can come to.
//
// And o is in the mark of its owner, if it is reachable when that ends. An address
// that is pinned when the mark begins is a root. One that gets pinned later is returned
// by Since, unless it was a root already. What if o is reached by a chain of own
// objects of k that a foreign process changes while k marks (it knows nothing of k's
// barriers)? It has to get the page to itself, which pins, for R1, what is on it
// before the change: in k's log, as k has not finished; or it has had the page to itself
// since before k began. Then it has had all that is on it pinned since it got it, and has
// met it in each of its marks since (R3). What it wrote there itself it had, and that is
// the first part again. An address that j obtains after k's last Since
// was reachable at that time, hence is marked.
//
// Own objects that k knows only through foreign pages: on a page that k holds
// exclusively they are roots (R3). When that page leaves, R1 pins them for its home,
// which keeps them as long as the object on the page lives; by R2 k sees the page in its
// held set or the pin, whatever the moment at which its mark begins. Reading such a page
// where it has left meanwhile makes k wait for the transition and so for its pins.
//
// # Whole marks
//
// Reference listing does not find garbage cycles across slots, and what was pinned
// for a word that only looks like an address stays as long as the word. So now and then
// all processes mark together ([Whole]), without the pins among the roots. The rules:
//
//	W1  All processes have stopped their worlds and turned on write barriers (R5) before
//	    any of them marks, or lets its program go on.
//	W2  Roots of a process are its own, among them what it has received; and what
//	    messages under way refer to, by R7. Neither what was pinned before, nor pages held
//	    exclusively, nor what a transition pins (R1) are.
//	W3  What a process meets, by scanning or by a barrier, is pinned anew at its owner
//	    while the marks go on, and the owner marks it.
//	W4  The marks end when the worlds of all are stopped, no process has anything left
//	    to mark, none has met what it has not told, and no owner has been told of
//	    anything that it did not mark. Then the pins of all that are older than
//	    their marks' beginnings cease to count, at once, before any world goes on.
//	W5  Until then the whole mark may fail, for all processes at once. They go on
//	    as if their marks had been ordinary ones from the beginning: what is
//	    pinned becomes a root, and the pages that were held exclusively.
//
// Why that is enough. Let T be the moment of W1, at which all worlds are stopped. The
// memory is coherent (R4), and from T on every process has barriers on, so that all marks
// together are one, of one heap, with a barrier of the kind that Go's collector has in
// one process (deletion and insertion): what is reachable at T is reached by W3 or
// shaded, and what is allocated since is marked. What refers to an object at T is one of
// these:
//
//   - A stack, a global, or an object on whatever page: a stack and a global are scanned
//     by their process, and an object, if it is reachable itself, by its owner, where
//     it is now. It does not matter who holds the page and who wrote there: so pages
//     held exclusively need not be roots, and R1 has nothing to add.
//   - A message. One that was in its place at its receiver at T is found there.
//     Another is pinned as one under way then or soon (W2: Hold reports it), or
//     among the roots of its sender, which marks them. (What a receiver pins before it
//     begins is in its place at T. During a mark it takes over nothing from senders: what
//     refers to its own slot it would pin for nobody, and if it has looked
//     at what it received, only the sender marks that.)
//
// At W4 there is no grey object anywhere, and nothing under way between the marks. So what
// is not marked was not reachable at T, nor has become so.
//
// Afterwards the argument for ordinary marks holds as it did before. All that a process
// met is pinned for it, before anything ceased to count. What is different is that pages
// which j held exclusively were not among its roots, so that there may be words on them
// which are not pinned for j. If such a word belongs to an object in use, the owner of
// the page has scanned that, by a fault, since T: R1 pinned all words of the page for j
// then, and j met what it wrote there later. If not, the word is dead: it may come to
// be met by a later mark of j, which has it scan the page, when its address is free or
// another object's. That keeps the other object for a while, as any word does that
// looks like an address.
//
// If a whole mark fails (W5), no mark has ended, hence no pin has ceased to count since
// the first of them began: what is pinned then includes what was pinned when each began.
// To be roots late is what roots of a concurrent mark are anyway.
//
// Stopping the worlds at the end, too, would not be necessary: that nothing is grey is
// stable, and counting twice would find it. But barriers are buffered by thread, and the
// last look at the buffers is with the world stopped, so that the worlds stop
// anyway; they do at about the same time, and wait for each other for some milliseconds
// at most before one of them goes on and tries again later.
//
// # Processes that retire
//
// A process k may end while the others go on: its *estate* is its slot with all objects there, and the pages of
// other slots that it has. Its runtime has made sure that nothing of it is on its way: no goroutine, no
// message to it, and none from it that is not pinned for its receiver (R7). The rules:
//
//	E1  No object of its slot is freed, and none is allocated there. Its pages and copies remain what they were to
//	    the directory; what it had is read from its file, and written there.
//	E2  Its marks go on, made by somebody else ([Directory.Keep]): such a mark begins as one of k, for the holder; it meets all words
//	    that look like addresses on the pages of k's slot and on those that k holds exclusively, where no other process has them
//	    to itself; and it ends as one of k (R6).
//	E3  In a whole mark, what is pinned for k is a root of its owner, and what gets pinned for k is reached. Pages of
//	    k's slot are roots of who holds them exclusively, as in an ordinary mark. k's pins do not cease to count.
//
// Why that is enough. For ordinary marks, k is a process whose program does nothing, and whose marks find everything that it
// has in use, in particular all objects of its slot. But a mark by E2 leaves out the pages that another process j has
// to itself, where one of k would have read them by a fault (R4). If j had the page since before the mark began, what is on it is
// met by j's marks (R3) for as long as j has it; when the page leaves j, R1 pins what is on it for k, which is home, and that
// pin is younger than the mark's beginning. If j got the page since, R1 has done so then. (That, too, is why a page without an
// entry can be read without a lock: who takes it meanwhile pins what is on it, for k.)
//
// For whole marks: nobody scans the objects of k's slot, all of which are in use. Take a word on a page of that slot, at the moment T.
// If nobody but k had the page to itself when its owner began, the word was pinned for k, for that is so when a mark
// by E2 ends and R1 keeps it so; or k had the word from an object that is pinned for it. It is a root by E3. If some j had the page to itself
// then, and until j began, it is one of j's roots by E3, read where it is now; and what is overwritten since T is shaded (R5). If the page
// left j before, R1 pinned the word for k, which reaches it by E3. k stores nothing and deletes nothing. So what is reachable from k's slot is
// reached, and what k does not refer to any more ceases to be pinned for it by the next mark of E2, as for any holder.
//
// What is garbage in k's slot stays, as does what that refers to: no more than the process had when it
// retired, and what others hang on to objects there that only look as if they were in use.
//
// # Tests
//
// The arguments are checked, and each rule shown to be needed, by explorer_test.go in
// small models; collect_test.go runs programs with collectors on the real code.
//
// # Locks
//
// In this order: a page's; that of Whole; that of messages under way in Pins; that of one owner's pins, or
// of one process's held set, or of one shard of the directory. Of the last three only one
// is held at a time.
package coherence
