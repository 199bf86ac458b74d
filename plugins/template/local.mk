# A third party's plugin: installed as source, built by nobody here but the tests
dist_template_DATA += \
	plugins/template/Makefile \
	plugins/template/README.md \
	plugins/template/template.c
