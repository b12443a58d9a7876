package v1alpha1

// Rule is a set of matches; a call is taken when any of them takes it.
type Rule struct {
	// Matches say which calls are taken.
	//
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Matches []Match `json:"matches"`
}

// MatchType says how a value is compared.
//
// +kubebuilder:validation:Enum=Exact;RegularExpression
type MatchType string

const (
	// MatchExact compares byte for byte.
	MatchExact MatchType = "Exact"
	// MatchRegularExpression compares with an RE2 expression that must match the whole value.
	MatchRegularExpression MatchType = "RegularExpression"
)

// Match takes the calls for which the service, the method and all headers agree.
//
// +kubebuilder:validation:XValidation:rule="has(self.service) || has(self.method) || has(self.headers)",message="a match must name a service, a method or headers: remove the match, or leave out rules to expose every call"
// +kubebuilder:validation:XValidation:rule="!has(self.method) || has(self.service)",message="method needs service: add the full name of the service, such as helloworld.Greeter, or use type RegularExpression with service '.+'"
// +kubebuilder:validation:XValidation:rule="self.type != 'Exact' || !has(self.service) || self.service.matches('^[A-Za-z_][A-Za-z_0-9]*([.][A-Za-z_][A-Za-z_0-9]*)*$')",message="service must be the full name of a protobuf service, such as helloworld.Greeter: no slash, no leading dot; use type RegularExpression for patterns"
// +kubebuilder:validation:XValidation:rule="self.type != 'Exact' || !has(self.method) || self.method.matches('^[A-Za-z_][A-Za-z_0-9]*$')",message="method must be the bare name of a method, such as SayHello: no slash; use type RegularExpression for patterns"
type Match struct {
	// Type says how service and method are compared.
	//
	// +optional
	// +kubebuilder:default=Exact
	Type MatchType `json:"type,omitempty"`

	// Service is the full name of the protobuf service, such as helloworld.Greeter.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Service *string `json:"service,omitempty"`

	// Method is the name of the method; without it every method of the service is taken.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Method *string `json:"method,omitempty"`

	// Headers must all be present in the call's metadata with these values.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Headers []HeaderMatch `json:"headers,omitempty"`
}

// HeaderMatch takes calls whose metadata has the header with the value.
type HeaderMatch struct {
	// Type says how the value is compared.
	//
	// +optional
	// +kubebuilder:default=Exact
	Type MatchType `json:"type,omitempty"`

	// Name is the header's name, in lower case as gRPC sends it.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9!#$%&*+.^_|~-]+$')",message="must be a header name in lower case, as gRPC sends it"
	Name string `json:"name"`

	// Value is what the header must be, or the expression that it must match.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Value string `json:"value"`
}
