package cache

// owner is an ExposedService, or what several share, and who uses it.
type owner struct {
	name    Owner
	version string
	entries map[key]*Entry // that were set for it
	owned   int            // entries that are its, whomever they were set for

	// clients use at least one resource of it; acked have acknowledged the current version of all that they
	// use, nacked have refused the current version of at least one.
	clients, acked, nacked int32
}

// Status says where the current version of an owner is live.
type Status struct {
	// Version is the hash of all that was Set for it; empty: nothing was.
	Version string
	// Clients is how many connected clients use at least one of its resources, and Acked how many of these have
	// acknowledged the current version of all that they use.
	Clients, Acked int
	// Nacked is how many have refused one in its current version.
	Nacked int
}

// AllAcked says whether all clients that use the owner have acknowledged its current version. It is
// true when there is none.
func (s Status) AllAcked() bool { return s.Acked == s.Clients }

func (o *owner) status() Status {
	return Status{Version: o.version, Clients: int(o.clients), Acked: int(o.acked), Nacked: int(o.nacked)}
}

// counts are of the resources of an owner that a client should have.
type counts struct {
	resources int32
	// unacked: the client has not acknowledged the current version; nacked: it has refused it.
	unacked, nacked int32
	// cold are clusters of which the client has no version yet, and has refused none.
	cold int32
}

func (c counts) plus(d counts) counts {
	return counts{c.resources + d.resources, c.unacked + d.unacked, c.nacked + d.nacked, c.cold + d.cold}
}

func (c counts) minus(d counts) counts {
	return counts{c.resources - d.resources, c.unacked - d.unacked, c.nacked - d.nacked, c.cold - d.cold}
}

// use is how a client uses an owner.
type use struct {
	owner *owner
	counts
}

// set changes the counts of a use, and with them the owner's. Cache.mu is held.
func (u *use) set(to counts) {
	o, was := u.owner, u.counts
	u.counts = to
	o.clients += count(to.resources > 0) - count(was.resources > 0)
	o.acked += count(to.resources > 0 && to.unacked == 0) - count(was.resources > 0 && was.unacked == 0)
	o.nacked += count(to.nacked > 0) - count(was.nacked > 0)
}

// count is 1 or 0.
func count(b bool) int32 {
	if b {
		return 1
	}
	return 0
}
