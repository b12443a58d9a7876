// Package certificates makes the certificates of the xDS server where nobody else does: an authority for the server, another one for
// its clients, and a certificate of the server, each in a Secret. A Job of the Helm chart runs it on install and upgrade, and
// a CronJob in between. The certificate is renewed long before it expires, and each authority is followed by another one that
// everybody trusts by then ([Authorities]).
//
// There are two authorities because the clients' is given away: whoever issues certificates with it can sign any name, also those of the
// server. Clients do not trust it, so that nobody can pass for the server. An installation that had one authority for both
// is changed over without locking anybody out ([Separation]).
//
// The authorities' keys are in Secrets that only that Job may read. The operator mounts the third one, which has the certificates of the
// clients' authorities and no key of theirs.
package certificates
