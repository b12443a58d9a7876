package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// XDSStatus is what the xDS clients of an ExposedService have made of it. Each replica of Headgate knows
// its own clients and writes its part; Clients and Acknowledged are the sums.
type XDSStatus struct {
	// Clients is how many connected clients use the ExposedService.
	// +optional
	Clients int32 `json:"clients,omitempty"`

	// Acknowledged is how many of them have acknowledged everything of it that they use, as it is now.
	// +optional
	Acknowledged int32 `json:"acknowledged,omitempty"`

	// Hosts are the hosts that it has among the ExposedServices of its namespace, and keeps when another one asks for them: those of
	// spec.hostnames, or `*` for every other host on its port.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	Hosts []string `json:"hosts,omitempty"`

	// Port is that of spec.xds on which it has them.
	//
	// +optional
	Port PortNumber `json:"port,omitempty"`

	// Replicas are the replicas of Headgate to which such clients are connected.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Replicas []XDSReplica `json:"replicas,omitempty"`
}

// XDSReplica is what one replica of Headgate knows of its own clients. It is there while it has any.
type XDSReplica struct {
	// Name is the replica's: that of its pod.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`

	// ObservedGeneration is the metadata.generation that it serves.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Revision is the decision that it serves: that of status.traffic.
	// +optional
	Revision int64 `json:"revision,omitempty"`

	// Clients is how many connected clients use the ExposedService.
	// +required
	Clients int32 `json:"clients"`

	// Acknowledged is how many of them have acknowledged everything of it that they use.
	// +required
	Acknowledged int32 `json:"acknowledged"`

	// Rejecting is how many of them refuse some of it as it is now.
	// +optional
	Rejecting int32 `json:"rejecting,omitempty"`

	// Refusal is the last refusal of those that stand.
	// +optional
	Refusal *XDSRefusal `json:"refusal,omitempty"`
}

// XDSRefusal is a resource that a client refused, which goes on with what it had before.
type XDSRefusal struct {
	// Node is the client's name for itself: the node.id of its bootstrap.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Node string `json:"node,omitempty"`

	// Type is the service that delivers what was refused: CDS, EDS, LDS or RDS.
	//
	// +required
	// +kubebuilder:validation:MaxLength=8
	Type string `json:"type"`

	// Message is what the client says is wrong, in its own words.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// Time is when Headgate learned of it.
	// +required
	Time metav1.MicroTime `json:"time"`
}
