"""What IHE MHD and PDSm ask of documents that are shared: of a DocumentReference, of a List, of the Bundle of ITI-65.

https://profiles.ihe.net/ITI/MHD/ · https://interop.esante.gouv.fr/ig/fhir/pdsm

Pure: a resource and the code lists in, issues out. What rests on stored data (the INS of the patient, the bytes of the
document) is looked at by `interactions.sharing`.
"""
