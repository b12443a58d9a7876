// Package certificates makes the certificates of the xDS server where nobody else does: an authority of Headgate's own, and a
// certificate of the server that it signs, each in a Secret. A Job of the Helm chart runs it on install
// and upgrade, and a CronJob in between, so that the certificate is renewed long before it expires, and the authority
// followed by another one that everybody trusts by then ([Authorities]).
//
// The authority's key is in a Secret that only that Job may read. The operator mounts the other one, which has the
// authority's certificate and not its key.
package certificates
