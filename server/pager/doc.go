// Package pager keeps the shared memory of a session's processes coherent, on one
// Linux host: it is the [coherence.Memory] of processes by userfaultfd, and answers
// their faults.
//
// Each process maps the whole shared address range from a sparse file of its own, a
// memfd, and hands that and a userfaultfd of itself to the pager, which runs
// outside of it. So a fault never waits for the faulting process's scheduler or
// garbage collector. See userfaultfd(2) and Documentation/admin-guide/mm/userfaultfd.rst
// in the kernel's source.
//
// What a page is (see [coherence.Memory]) in these terms:
//
//   - A hole has no page in the memfd. An access in a registered range is a missing
//     fault.
//   - A readable page is there and write-protected. The kernel keeps the protection
//     in the page table, also where the page is not mapped yet (PTE markers), so it
//     survives unmapping, swapping and MADV_REMOVE.
//   - A writable page is there and not protected.
//
// Invariants:
//
//   - A process's foreign slots, and the globals for all but process 0, are
//     registered by the process before Attach. Its own are registered here, by
//     granule, when a page is first protected: before that they cost nothing, and the
//     process fills holes there without a fault.
//   - The pager reads by pread and never maps a memfd, because reading a hole through a
//     mapping fills it.
//   - Every event read from a userfaultfd is answered with at least a wake-up, or the
//     page is poisoned.
//
// Lock order: the directory's page lock, then process.mu. Nothing is locked while an
// event is waited for.
package pager
