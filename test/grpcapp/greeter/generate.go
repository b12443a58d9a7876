package greeter

// protogen is a module of its own, so that neither the compiler nor the plugins
// become dependencies of Headgate. Its go.mod pins all three; the output depends
// on nothing else.
//go:generate env GOWORK=off go -C protogen run . -dir .. -file helloworld.proto
