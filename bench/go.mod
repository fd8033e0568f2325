module github.com/apn/ami/bench

go 1.26.0

require (
	github.com/apn/ami v0.0.0
	github.com/heltonmarx/goami v1.0.0
	github.com/ivahaev/amigo v0.1.11
	github.com/staskobzar/goami2 v1.7.6
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/cenkalti/backoff/v4 v4.3.0 // indirect
	github.com/sony/gobreaker/v2 v2.4.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sync v0.24.0 // indirect
)

replace github.com/apn/ami => ../
