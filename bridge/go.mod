module github.com/apn/ami/bridge

go 1.26.0

require (
	github.com/gofrs/flock v0.13.2
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
)

require (
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/apn/ami => ../
