package osys

import (
	"bytes"
	"syscall"
	"unsafe"

	"remotec.dev/runtimestub/wire"
)

// sendmsg: args[0] descriptor, args[2] flags; blob 1 the gathered data, blob 3
// the address, blob 4 the control data, nil where there is none.
func (t *thread) sendmsg(c *wire.Call) (r1, r2 uint64, e syscall.Errno) {
	// Control data name descriptors, so they are copied before they are judged.
	control := bytes.Clone(c.Blobs[4])
	if t.os.reserved(c.Args[0]) || t.sendsReserved(control) {
		return 0, 0, syscall.EBADF
	}
	t.msg = syscall.Msghdr{}
	t.msgData(c.Blobs[1])
	if name := c.Blobs[3]; len(name) > 0 {
		t.msg.Name, t.msg.Namelen = unsafe.SliceData(name), uint32(len(name))
	}
	if len(control) > 0 {
		t.msg.Control = unsafe.SliceData(control)
		t.msg.SetControllen(len(control))
	}
	t.a = [6]uintptr{uintptr(c.Args[0]), uintptr(unsafe.Pointer(&t.msg)), uintptr(c.Args[2])}
	r, e := syscall6(false, syscall.SYS_SENDMSG, &t.a)
	t.msg = syscall.Msghdr{}
	return uint64(r), 0, e
}

// recvmsg: args[0] descriptor, args[2] flags, args[3] room for data, args[4]
// for the address, args[5] for control data; the reply has blob 1 data, blob 3
// address, blob 4 control data, R1 the bytes and R2 the message's flags.
func (t *thread) recvmsg(c *wire.Call) (r1, r2 uint64, e syscall.Errno) {
	if t.os.reserved(c.Args[0]) {
		return 0, 0, syscall.EBADF
	}
	room, nameRoom, controlRoom := c.Args[3], min(c.Args[4], uint64(len(t.addr))), c.Args[5]
	if room > wire.MaxData || controlRoom > wire.MaxData || room+controlRoom > wire.MaxData {
		return 0, 0, syscall.EINVAL
	}
	// The control data come in a buffer of their own, the data straight into
	// the reply: two lengths vary, and only the last blob can be trimmed. All
	// three must be known to fit beforehand, or a message would be lost.
	data := t.w.Blob(1, int(room))
	if data == nil || t.w.Blob(3, int(nameRoom)) == nil || t.w.Blob(4, int(controlRoom)) == nil {
		return 0, 0, noRoom
	}
	t.w.Trim(4, int(controlRoom), 0)
	t.w.Trim(3, int(nameRoom), 0)
	control := make([]byte, controlRoom)

	t.msg = syscall.Msghdr{}
	t.msgData(data)
	if nameRoom > 0 {
		t.msg.Name, t.msg.Namelen = &t.addr[0], uint32(nameRoom)
	}
	if controlRoom > 0 {
		t.msg.Control = unsafe.SliceData(control)
		t.msg.SetControllen(len(control))
	}
	t.a = [6]uintptr{uintptr(c.Args[0]), uintptr(unsafe.Pointer(&t.msg)), uintptr(c.Args[2])}
	r, e := syscall6(false, syscall.SYS_RECVMSG, &t.a)
	m := t.msg
	t.msg = syscall.Msghdr{}
	if e != 0 {
		return 0, 0, e
	}
	t.w.Trim(1, int(room), int(min(uint64(r), room)))
	// Both blobs anew even when empty: the data in front of them got shorter.
	n := 0
	if nameRoom > 0 {
		n = int(min(uint64(m.Namelen), nameRoom))
	}
	copy(t.w.Blob(3, n), t.addr[:n])
	n = int(min(m.Controllen, controlRoom))
	copy(t.w.Blob(4, n), control[:n])
	return uint64(r), uint64(uint32(m.Flags)), 0
}

// msgData makes b the message's one buffer.
func (t *thread) msgData(b []byte) {
	t.iov.Base = &t.empty[0]
	if len(b) > 0 {
		t.iov.Base = unsafe.SliceData(b)
	}
	t.iov.SetLen(len(b))
	t.msg.Iov, t.msg.Iovlen = &t.iov, 1
}

// sendsReserved reports whether control data pass on one of the server's own
// descriptors. Malformed control data are left to the kernel.
func (t *thread) sendsReserved(control []byte) bool {
	if len(control) < syscall.CmsgLen(4) {
		return false
	}
	msgs, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return false
	}
	for i := range msgs {
		fds, err := syscall.ParseUnixRights(&msgs[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			if t.os.reserved(uint64(uint32(fd))) {
				return true
			}
		}
	}
	return false
}
