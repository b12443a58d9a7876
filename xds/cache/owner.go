package cache

// owner is an ExposedService and who uses it.
type owner struct {
	name    Owner
	version string
	entries map[key]*Entry // that were set for it
	owned   int            // entries that are its, whomever they were set for

	// clients use at least one resource of it; live have acknowledged the current version of all that they
	// use, rejecting have refused the current version of at least one.
	clients, live, rejecting int
}

// Status says where the current version of an owner is live.
type Status struct {
	// Version is the hash of all that was Set for it; empty: nothing was.
	Version string
	// Clients is how many connected clients use at least one of them, and Live how many of these have
	// acknowledged the current version of all that they use.
	Clients, Live int
	// Rejecting is how many have refused one in its current version.
	Rejecting int
}

// Settled says whether all clients that use the owner have acknowledged its current version. It is
// true when there is none.
func (s Status) Settled() bool { return s.Live == s.Clients }

func (o *owner) status() Status {
	return Status{Version: o.version, Clients: o.clients, Live: o.live, Rejecting: o.rejecting}
}

// use is how a client uses an owner: of how many of its resources it should have the current version, how many
// of those it has not acknowledged, and how many it has refused.
type use struct {
	owner                    *owner
	resources, behind, wrong int
}

// change keeps the owner's counts right while f changes those of the use.
func (u *use) change(f func()) {
	before := *u
	f()
	o := u.owner
	o.clients += count(u.resources > 0) - count(before.resources > 0)
	o.live += count(u.resources > 0 && u.behind == 0) - count(before.resources > 0 && before.behind == 0)
	o.rejecting += count(u.wrong > 0) - count(before.wrong > 0)
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
