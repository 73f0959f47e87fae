from student import *
from sklearn.linear_model import Ridge
import numpy as np
sc={}
for s in TIERS:
    for r in rows(s): sc[s,r["id"]]=r["scores"]
S={}
for s,t in TIERS.items():
    kk=[k for k in key if key[k][0]==s and all(m in sc[tuple(key[k])] for m in t.values())]
    pair=np.array([sc[tuple(key[k])][t["deep"]]-sc[tuple(key[k])][t["fast"]] for k in kk])
    full=[m for m in sorted({m for k in kk for m in sc[tuple(key[k])]}) if all(m in sc[tuple(key[k])] for k in kk)]
    A=np.array([[sc[tuple(key[k])][m] for m in full] for k in kk]); o=np.argsort(A.mean(0)); b=max(1,len(full)//3)
    many=A[:,o[-b:]].mean(1)-A[:,o[:b]].mean(1)
    L=np.array([len(ALL[tuple(key[k])][0]) for k in kk],float)
    s_=np.array([lab[k][0] for k in kk])/100; l_=np.array([lab[k][1] for k in kk])/100
    lg=lambda p:np.log(np.clip(p,.02,.98)/(1-np.clip(p,.02,.98)))
    X=np.c_[s_,l_,s_*s_,s_*l_,l_*l_,lg(s_),lg(l_)]
    S[s]=(X,np.log(L),pair,many)
for withlen in (0,1):
  for tgt in (2,3):
    row=[]
    for t in S:
        X=np.concatenate([np.c_[v[0],v[1]*withlen] for k,v in S.items() if k!=t]); Y=np.concatenate([(v[tgt]-v[tgt].mean())/v[tgt].std() for k,v in S.items() if k!=t]); W=np.concatenate([np.full(len(v[1]),1/len(v[1])**.5) for k,v in S.items() if k!=t])
        mu,sd=X.mean(0),X.std(0)+1e-9
        p=Ridge(30).fit((X-mu)/sd,Y,W/W.mean()).predict((np.c_[S[t][0],S[t][1]*withlen]-mu)/sd)
        pair,many,L=S[t][2],S[t][3],S[t][1]
        row.append((apgr(p,pair)-apgr(L,pair),apgr(p,many)-apgr(L,many)))
    print("len" if withlen else "no len","target",["","","pair","many"][tgt],list(S),[f"{a:+.3f}/{b:+.3f}" for a,b in row],np.mean(row,0))
