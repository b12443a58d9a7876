package supervisor

import (
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/headgate/headgate/test/cluster/internal/layout"
)

// namespaces are all that a cluster has of its own.
const namespaces = syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWCGROUP

// The files that a process started here finds open: the first after stdin, stdout and stderr.
const firstExtraFile = 3

// Supervise is the life of the daemon: it starts process 1 of the cluster's namespaces and waits for its end.
// If the daemon is killed, so is process 1, and with it everything in the namespaces.
func Supervise(cluster layout.Cluster) error {
	if err := joinGroup(cluster); err != nil {
		return err
	}
	listener, err := listen()
	if err != nil {
		return fmt.Errorf("listen for clients of the API server: %w", err)
	}
	lifelineEnd, lifeline, err := os.Pipe()
	if err != nil {
		return err
	}
	defer lifeline.Close()

	cmd := exec.Command(self(cluster), InitCommand, "--name", cluster.Name)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{listener, lifelineEnd}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig means the death of the thread that started the child, and Go ends idle threads
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start process 1 of the cluster: %w", err)
	}
	listener.Close()
	lifelineEnd.Close()
	if err := cluster.Group.JoinLeaf(os.Getpid(), "supervisor"); err != nil {
		return fmt.Errorf("move out of the cluster's root cgroup: %w", err)
	}
	if err := cluster.WriteInitPID(cmd.Process.Pid); err != nil {
		return err
	}
	log.Printf("cluster %s has started: process 1 is %d", cluster.Name, cmd.Process.Pid)
	err = cmd.Wait()
	return fmt.Errorf("the cluster has ended: %w", err)
}

// listen opens the socket that clients on the host connect to. Process 1 accepts, see node.forward.
func listen() (*os.File, error) {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	defer func() { _ = listener.Close() }() // the file is a second handle
	return listener.File()
}

// joinGroup puts this process, and so all that it will start, into the cluster's cgroup, and then lets go of the start lock.
func joinGroup(cluster layout.Cluster) error {
	if err := cluster.Group.Create(); err != nil {
		return err
	}
	if err := cluster.Group.Join(os.Getpid()); err != nil {
		return err
	}
	return os.NewFile(firstExtraFile, "start lock").Close()
}

// Inherited returns what Supervise hands down to process 1: the listener for clients on the host, and the supervisor's lifeline.
func Inherited() (net.Listener, *os.File, error) {
	file := os.NewFile(firstExtraFile, "forwarder")
	defer file.Close()
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, nil, fmt.Errorf("the listener handed down: %w", err)
	}
	return listener, os.NewFile(firstExtraFile+1, "lifeline"), nil
}
