proof = "FEGBHD"
