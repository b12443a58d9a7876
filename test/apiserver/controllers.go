package apiserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	// Node is the one node that there is once the controllers run: the controller of EndpointSlices leaves out pods without one.
	Node = "node"

	// controllersUser is who the controllers are. They see everything, and change what is in the namespaces of Controllers.
	controllersUser = "headgate-test-controllers"
	// mayChange is a ClusterRole that a namespace gives them.
	mayChange = "headgate-test-controllers-change"
	// controllersPatience is how long they may take to start, on a machine with other things to do.
	controllersPatience = 2 * time.Minute
	// linesOfLog is how much of their log is shown when they fail.
	linesOfLog = 40
)

// controllers is Kubernetes' own kube-controller-manager.
type controllers struct {
	// dir has its kubeconfig and its log.
	dir    string
	gate   *gate
	cancel context.CancelFunc
	// ended is closed when the process has ended.
	ended chan struct{}
	err   error
}

// Controllers has Kubernetes' own controllers of Deployments, ReplicaSets, EndpointSlices and of garbage work in a namespace. It
// starts them if no test did before. Nothing else is touched: other tests play these controllers themselves. Objects are best made
// after it: what was there before is looked at again a second later. They end with the test binary.
func Controllers(t testing.TB, kube client.Client, namespace string) {
	t.Helper()
	Config(t)
	shared.Lock()
	if shared.controllers == nil && shared.controllersErr == nil {
		shared.controllers, shared.controllersErr = startControllers(t.Context(), kube)
	}
	c, err := shared.controllers, shared.controllersErr
	shared.Unlock()
	if err != nil {
		t.Fatalf("start the controllers: %v", err)
	}
	if err := c.enter(t.Context(), kube, namespace); err != nil {
		t.Fatalf("let the controllers into %s: %v", namespace, err)
	}
	t.Cleanup(func() {
		select {
		case <-c.ended:
			t.Errorf("the controllers have ended: %v", c.failure())
		default:
		}
	})
}

// startControllers starts the process and waits until it does its work.
func startControllers(ctx context.Context, kube client.Client) (*controllers, error) {
	if err := prepareControllers(ctx, kube); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "headgate-controllers-")
	if err != nil {
		return nil, err
	}
	c := &controllers{dir: dir, ended: make(chan struct{})}
	err = c.start()
	if err == nil {
		err = c.untilTheyWork(ctx, kube)
	}
	if err != nil {
		return nil, errors.Join(err, c.failure(), c.stop())
	}
	return c, nil
}

// prepareControllers makes what they need: a node, and the rights that the server's own roles do not give to a user of this name.
func prepareControllers(ctx context.Context, kube client.Client) error {
	all := []string{rbacv1.ResourceAll}
	subject := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: controllersUser}}
	const maySee = controllersUser + "-see"
	for _, object := range []client.Object{
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: Node}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: maySee}, Rules: []rbacv1.PolicyRule{
			{APIGroups: all, Resources: all, Verbs: []string{"get", "list", "watch"}},
		}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: mayChange}, Rules: []rbacv1.PolicyRule{
			{APIGroups: all, Resources: all, Verbs: all},
		}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: maySee}, Subjects: subject,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: maySee},
		},
	} {
		if err := kube.Create(ctx, object); err != nil {
			return fmt.Errorf("make %T %s: %w", object, object.GetName(), err)
		}
	}
	return nil
}

// start starts the process.
func (c *controllers) start() error {
	user, err := shared.environment.AddUser(envtest.User{Name: controllersUser}, &rest.Config{})
	if err != nil {
		return err
	}
	if c.gate, err = newGate(user.Config()); err != nil {
		return err
	}
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters["gate"] = &clientcmdapi.Cluster{Server: "http://" + c.gate.address}
	kubeconfig.Contexts["gate"] = &clientcmdapi.Context{Cluster: "gate"}
	kubeconfig.CurrentContext = "gate"
	if err := clientcmd.WriteToFile(*kubeconfig, filepath.Join(c.dir, "kubeconfig")); err != nil {
		return err
	}
	log, err := os.Create(c.log())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	command := exec.CommandContext(ctx, filepath.Join(os.Getenv(assets), "kube-controller-manager"),
		"--kubeconfig="+filepath.Join(c.dir, "kubeconfig"),
		"--controllers=deployment-controller,replicaset-controller,endpointslice-controller,garbage-collector-controller",
		"--leader-elect=false",
		"--secure-port=0",
		// What one rollout waits for is not to wait behind those of other tests.
		"--kube-api-qps=5000", "--kube-api-burst=10000",
		"--concurrent-deployment-syncs=10", "--concurrent-replicaset-syncs=10", "--concurrent-service-endpoint-syncs=10",
	)
	command.Stdout, command.Stderr = log, log
	// A test binary that is killed does not leave it behind.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		defer close(c.ended)
		defer log.Close()
		runtime.LockOSThread() // Pdeathsig means the death of the thread that started the child, and Go ends idle threads
		err := command.Start()
		started <- err
		if err == nil {
			c.err = command.Wait()
		}
	}()
	return <-started
}

// untilTheyWork waits until a Deployment and a Service are looked at.
func (c *controllers) untilTheyWork(ctx context.Context, kube client.Client) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "controllers-"}}
	if err := kube.Create(ctx, namespace); err != nil {
		return err
	}
	if err := c.enter(ctx, kube, namespace.Name); err != nil {
		return err
	}
	labels, meta := map[string]string{"app": "probe"}, metav1.ObjectMeta{Name: "probe", Namespace: namespace.Name}
	deployment := &appsv1.Deployment{
		ObjectMeta: meta,
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](0), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app:1"}}},
			},
		},
	}
	service := &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: 80}}}}
	if err := errors.Join(kube.Create(ctx, deployment), kube.Create(ctx, service)); err != nil {
		return err
	}
	return c.until(ctx, func() error {
		var sets appsv1.ReplicaSetList
		var slices discoveryv1.EndpointSliceList
		in := client.InNamespace(namespace.Name)
		if err := errors.Join(kube.List(ctx, &sets, in), kube.List(ctx, &slices, in)); err != nil {
			return err
		}
		if len(sets.Items) == 0 || sets.Items[0].Status.ObservedGeneration == 0 || len(slices.Items) == 0 {
			return fmt.Errorf("%d ReplicaSets, %d EndpointSlices", len(sets.Items), len(slices.Items))
		}
		return nil
	})
}

// enter lets the controllers change what is in a namespace, and waits until they may.
func (c *controllers) enter(ctx context.Context, kube client.Client, namespace string) error {
	c.gate.enter(namespace)
	err := kube.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: mayChange, Namespace: namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: mayChange},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: controllersUser}},
	})
	if client.IgnoreAlreadyExists(err) != nil {
		return err
	}
	return c.until(ctx, func() error {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: controllersUser,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: "create", Group: discoveryv1.GroupName, Resource: "endpointslices",
			},
		}}
		if err := kube.Create(ctx, review); err != nil {
			return err
		}
		if !review.Status.Allowed {
			return errors.New("the API server has not seen its RoleBinding")
		}
		return nil
	})
}

// until asks again and again until there is no error, as long as the process lives.
func (c *controllers) until(ctx context.Context, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, controllersPatience)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-c.ended:
			return errors.New("the controllers have ended")
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

func (c *controllers) log() string { return filepath.Join(c.dir, "log") }

// failure is how the process ended, if it did, and the end of its log.
func (c *controllers) failure() error {
	var err error
	select {
	case <-c.ended:
		err = c.err
	default:
	}
	text, readErr := os.ReadFile(c.log())
	lines := strings.Split(string(bytes.TrimSpace(text)), "\n")
	lines = lines[max(0, len(lines)-linesOfLog):]
	return errors.Join(err, readErr, fmt.Errorf("the log of kube-controller-manager:\n%s", strings.Join(lines, "\n")))
}

// stop ends the process.
func (c *controllers) stop() error {
	if c.cancel != nil {
		c.cancel()
		<-c.ended
	}
	if c.gate != nil {
		if err := c.gate.close(); err != nil {
			return err
		}
	}
	return os.RemoveAll(c.dir)
}
