proof = "CAEGBID"
