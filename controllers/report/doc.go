// Package report says in the status of an ExposedService what was decided and what became of it, and in events what
// has changed. Each half of the status has a field manager of its own; both are written from what was read, so that
// whoever has read something old is refused, and both are put right when somebody else changes them.
package report
