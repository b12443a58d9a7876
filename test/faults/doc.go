// Package faults looks for what nobody thought of. It runs the operator in this process, on a real API server and the sample data
// plane (test/dataplane), and disturbs it: its requests, its watches, what it is told, its clock, its life. What is there in the
// end has to be what is there without the disturbance.
//
//	deaths     the operator dies before and after each write, or loses its answer
//	refusals   the API server refuses requests by kind and verb
//	watches    those of a kind are behind, or broken
//	facts      DNS, a source of counts, and the clock fail or lie
//	leaders    two operators lead for a while
//	tenants    bad objects of one tenant beside good ones of another
//	generated  specs, facts and accidents by chance; the end depends on the last spec and the facts alone
//
// A world (world_test.go) is a namespace with what a workload (workload_test.go) needs. All requests of its operators go through a
// transport (transport_test.go) that decides the fate of each. The state of a world (state_test.go) is what was made and what the
// status says of it, without what differs from one namespace to the next.
//
// Every random choice comes from a seed, which each failure prints. HEADGATE_FAULTS_SEED=<seed> makes the same choices again; for
// generated operations it repeats the one sequence that failed. With -short a sample of the rows runs, which the seed chooses.
// At the end the package prints how much was done.
package faults
