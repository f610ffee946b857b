proof = "DAJCEBHF"
