package jetstream_test

const asBridge = "TEST_AS_BRIDGE"

func beBridge() {}
