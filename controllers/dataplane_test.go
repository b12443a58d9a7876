package controllers

import "github.com/headgate/headgate/test/dataplane"

// startDataPlane starts one for the class of a world, which ends with the test. All kinds have to be there.
func startDataPlane(w *world) *dataplane.DataPlane {
	w.t.Helper()
	return dataplane.Start(w.t, dataplane.Config{Config: w.config, Client: w.kube, Class: w.class})
}
